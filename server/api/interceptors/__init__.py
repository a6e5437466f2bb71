"""Interceptors: what happens to a call before and after its handler.

A call passes these steps in this order; `server/api/server.py` puts them together.

1. `calls.CallInterceptor` counts, times and traces the call. It is outermost, so it also sees refused calls.
2. `errors.ErrorInterceptor` wraps the handler. It maps every exception to a status and logs the call.
3. `gate.Gate` authenticates the caller, checks its scope (`scopes`) and applies the limits of calls (`limits`).
   `refused_calls` limits calls without valid credentials.
4. `request_reader.RequestReader` reads, inflates and checks the request. `reading_lanes` limits how many requests are
   read at once, `byte_budget` how many bytes of requests handlers hold.
5. The handler runs: a servicer.
"""
