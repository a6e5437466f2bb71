"""The part of a composition that most messages leave as it is: kind, tag, sound, an attachment."""

from collections.abc import Callable

from redrive.dashboard.composition import Composition
from redrive.dashboard.elements import Tag, choice
from redrive.dashboard.entries import entry
from redrive.dashboard.retry_hints import MESSAGING_HINTS, TAG_HINTS
from redrive.v1.content_pb2 import AttachmentType, MessagingType, NotificationType

_KINDS = {
    str(MessagingType.MESSAGING_TYPE_UPDATE): "An update",
    str(MessagingType.MESSAGING_TYPE_RESPONSE): "A response",
    str(MessagingType.MESSAGING_TYPE_MESSAGE_TAG): "With a tag",
}
_TAGS = {"": "Choose one"} | {tag: tag for tag in TAG_HINTS}
_SOUNDS = {
    str(NotificationType.NOTIFICATION_TYPE_REGULAR): "Sound and note",
    str(NotificationType.NOTIFICATION_TYPE_SILENT_PUSH): "A silent note",
    str(NotificationType.NOTIFICATION_TYPE_NO_PUSH): "No note",
}
_ATTACHMENTS = {
    str(AttachmentType.ATTACHMENT_TYPE_UNSPECIFIED): "Nothing",
    str(AttachmentType.ATTACHMENT_TYPE_IMAGE): "An image",
    str(AttachmentType.ATTACHMENT_TYPE_VIDEO): "A video",
    str(AttachmentType.ATTACHMENT_TYPE_AUDIO): "A sound",
    str(AttachmentType.ATTACHMENT_TYPE_FILE): "A file",
}


class OptionsPart:
    """Writes each choice into the composition at once; `changed` is called when what is attached changes."""

    def __init__(self, composition: Composition, changed: Callable[[], None]) -> None:
        self._composition = composition
        self._changed = changed
        with Tag("section", "", "card", aria_label="Kind"):
            Tag("h2", "Kind")
            choice("The message is", _KINDS, self._choose_kind, value=str(composition.messaging_type))
            self._kind_hint = Tag("p", "", "hint", role="status")
            self._tagged = Tag("div")
            with self._tagged:
                choice("Tag", _TAGS, self._choose_tag, value=composition.tag)
                self._tag_hint = Tag("p", "", "hint", role="status")
            choice("On the phone", _SOUNDS, self._choose_sound, value=str(composition.notification_type))
            choice("Attach", _ATTACHMENTS, self._choose_attachment, value=str(composition.attachment_type))
            self._address = Tag("div")
            with self._address:
                entry("Its address", self._enter_address, value=composition.attachment_url, kind="url")
                Tag(
                    "p",
                    "The platform fetches it there. It may hold variables. No text goes beside an attachment.",
                    "hint",
                )
        self._show()

    def _choose_kind(self, value: str) -> None:
        self._composition.messaging_type = MessagingType.ValueType(int(value))
        self._show()

    def _choose_tag(self, value: str) -> None:
        self._composition.tag = value
        self._show()

    def _choose_sound(self, value: str) -> None:
        self._composition.notification_type = NotificationType.ValueType(int(value))

    def _choose_attachment(self, value: str) -> None:
        self._composition.attachment_type = AttachmentType.ValueType(int(value))
        self._show()
        self._changed()

    def _enter_address(self, value: str) -> None:
        self._composition.attachment_url = value
        self._changed()

    def _show(self) -> None:
        made = self._composition
        self._kind_hint.say(MESSAGING_HINTS[made.messaging_type])
        self._tagged.show(when=made.is_tagged)
        self._tag_hint.say(TAG_HINTS.get(made.tag, ""))
        self._address.show(when=bool(made.attachment_type))
