"""The reference of the contract: a page of Markdown for each file in `protos/`, with its comments."""

import re
import subprocess  # nosec B404 - starts buf with fixed arguments
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

# Numbers of fields in descriptor.proto, which paths of comments consist of.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM, _MESSAGE_ONEOF = 2, 3, 4, 8
_ENUM_VALUE, _SERVICE_METHOD = 2, 2
_IGNORED = re.compile(r"^\s*buf:lint:.*$", re.MULTILINE)

CommentPath = tuple[int, ...]  # numbers of fields and places in lists, from the file down


class Context(NamedTuple):
    """A file with its comments by path, and the page of each type of the contract by full name."""

    file: FileDescriptorProto
    comments: Mapping[CommentPath, str]
    pages: Mapping[str, str]

    def comment(self, *path: int) -> str:
        """Return the comment at a path, one paragraph per paragraph; empty if there is none."""
        return self.comments.get(path, "")


def descriptors(root: Path) -> FileDescriptorSet:
    """Return the contract's files with their comments, without imported ones."""
    buf = str(Path(sys.executable).with_name("buf"))
    command = (buf, "build", "--as-file-descriptor-set", "--exclude-imports", "-o", "-#format=binpb")
    built = subprocess.run(command, cwd=root, capture_output=True, check=True)  # noqa: S603 - fixed program
    return FileDescriptorSet.FromString(built.stdout)


def pages(contract: FileDescriptorSet) -> dict[str, str]:
    """Return the text of each page by its name: one per file, and `index.md`, which lists the services' rpcs."""
    types = {name: _page(file) for file in contract.file for name in _type_names(file)}
    contexts = [Context(file, _comments(file), types) for file in contract.file]
    written = {_page(context.file): "\n".join(_file(context)) for context in contexts}
    return {"index.md": "\n".join(_index(contexts)), **written}


def _page(file: FileDescriptorProto) -> str:
    return f"{PurePosixPath(file.name).stem}.md"


def _type_names(file: FileDescriptorProto) -> Iterator[str]:
    waiting: list[tuple[str, DescriptorProto]] = [(f".{file.package}", message) for message in file.message_type]
    yield from (f".{file.package}.{enum.name}" for enum in file.enum_type)
    while waiting:
        scope, message = waiting.pop()
        yield f"{scope}.{message.name}"
        yield from (f"{scope}.{message.name}.{enum.name}" for enum in message.enum_type)
        waiting += [(f"{scope}.{message.name}", nested) for nested in message.nested_type]


def _comments(file: FileDescriptorProto) -> dict[CommentPath, str]:
    found = {}
    for location in file.source_code_info.location:
        text = _IGNORED.sub("", location.leading_comments or location.trailing_comments).strip()
        if text:
            found[tuple(location.path)] = re.sub(r"[*<]", _escaped, "\n".join(map(str.strip, text.split("\n"))))
    return found


def _escaped(found: re.Match[str]) -> str:
    return "&lt;" if found[0] == "<" else f"\\{found[0]}"


def _index(contexts: Sequence[Context]) -> Iterator[str]:
    yield from (
        "# Contract",
        "",
        "The services of `redrive.v1`. The folder `protos/` of the repository holds them.",
        "",
    )
    for context in contexts:
        for service in context.file.service:
            yield from (f"## {service.name}", "", "| rpc | |", "| --- | --- |")
            place = list(context.file.service).index(service)
            for number, method in enumerate(service.method):
                comment = context.comment(_FILE_SERVICE, place, _SERVICE_METHOD, number)
                link = f"[{method.name}]({_page(context.file)}#{method.name.lower()})"
                yield f"| {link} | {_cell(comment.partition('. ')[0].removesuffix('.'))} |"
            yield ""


def _file(context: Context) -> Iterator[str]:
    title = PurePosixPath(context.file.name).stem.replace("_", " ").capitalize()
    yield from (f"# {title}", "", f"`{context.file.name}`", "")
    for place, service in enumerate(context.file.service):
        yield from _service(context, service, (_FILE_SERVICE, place))
    for place, message in enumerate(context.file.message_type):
        yield from _message(context, message, (_FILE_MESSAGE, place), "")
    for place, enum in enumerate(context.file.enum_type):
        yield from _enum(context, enum, (_FILE_ENUM, place), "")


def _service(context: Context, service: ServiceDescriptorProto, path: CommentPath) -> Iterator[str]:
    yield from (f"## {service.name}", "", context.comment(*path), "")
    for number, method in enumerate(service.method):
        asked = f"{'stream of ' if method.client_streaming else ''}{_linked(context, method.input_type)}"
        answered = f"{'stream of ' if method.server_streaming else ''}{_linked(context, method.output_type)}"
        yield from (f"### {method.name}", "", f"{asked} → {answered}", "")
        yield from (context.comment(*path, _SERVICE_METHOD, number), "")


def _message(context: Context, message: DescriptorProto, path: CommentPath, scope: str) -> Iterator[str]:
    name = f"{scope}{message.name}"
    yield from (f"## {name}", "", context.comment(*path), "")
    if message.field:
        yield from ("| field | type | |", "| --- | --- | --- |")
        for number, field in enumerate(message.field):
            words = [_choice(message, field), context.comment(*path, _MESSAGE_FIELD, number)]
            typed = _field_type(context, message, field)
            yield f"| `{field.name}` = {field.number} | {typed} | {_cell(' '.join(filter(None, words)))} |"
        yield ""
    for place, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _message(context, nested, (*path, _MESSAGE_NESTED, place), f"{name}.")
    for place, enum in enumerate(message.enum_type):
        yield from _enum(context, enum, (*path, _MESSAGE_ENUM, place), f"{name}.")


def _enum(context: Context, enum: EnumDescriptorProto, path: CommentPath, scope: str) -> Iterator[str]:
    yield from (f"## {scope}{enum.name}", "", context.comment(*path), "", "| value | |", "| --- | --- |")
    for number, value in enumerate(enum.value):
        yield f"| `{value.name}` = {value.number} | {_cell(context.comment(*path, _ENUM_VALUE, number))} |"
    yield ""


def _choice(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    """Return which alternative a field of a oneof belongs to; empty for another field."""
    if not field.HasField("oneof_index") or field.proto3_optional:
        return ""
    return f"(one of `{message.oneof_decl[field.oneof_index].name}`)"


def _field_type(context: Context, message: DescriptorProto, field: FieldDescriptorProto) -> str:
    for nested in message.nested_type:
        if nested.options.map_entry and field.type_name.endswith(f".{message.name}.{nested.name}"):
            key, value = nested.field
            return f"map of {_field_type(context, nested, key)} to {_field_type(context, nested, value)}"
    repeated = "repeated " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    if field.type_name:
        return f"{repeated}{_linked(context, field.type_name)}"
    return f"{repeated}{FieldDescriptorProto.Type.Name(field.type).removeprefix('TYPE_').lower()}"


def _linked(context: Context, type_name: str) -> str:
    """Return a type's name, as a link if it is of the contract."""
    page = context.pages.get(type_name)
    if page is None:
        return f"`{type_name.removeprefix('.')}`"
    name = type_name.removeprefix(f".{context.file.package}.")
    return f"[{name}]({page}#{name.lower().replace('.', '')})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
