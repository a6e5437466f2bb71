"""Task queues, used as their documentation recommends. This code runs in .venv-bench and does not import Redrive."""
