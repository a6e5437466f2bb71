"""The section of Compose for the messaging type, the tag, the notification and an attachment."""

from collections.abc import Callable

from redrive.dashboard.pages.compose_hints import MESSAGING_HINTS, TAG_HINTS
from redrive.dashboard.state.composition import Composition
from redrive.dashboard.widgets.elements import Tag, choice
from redrive.dashboard.widgets.inputs import text_input
from redrive.v1.content_pb2 import AttachmentType, MessagingType, NotificationType

_KINDS = {
    str(MessagingType.MESSAGING_TYPE_UPDATE): "Update",
    str(MessagingType.MESSAGING_TYPE_RESPONSE): "Response",
    str(MessagingType.MESSAGING_TYPE_MESSAGE_TAG): "Message with a tag",
}
_TAGS = {"": "Choose one"} | {tag: tag for tag in TAG_HINTS}
_SOUNDS = {
    str(NotificationType.NOTIFICATION_TYPE_REGULAR): "Sound and notification",
    str(NotificationType.NOTIFICATION_TYPE_SILENT_PUSH): "Silent notification",
    str(NotificationType.NOTIFICATION_TYPE_NO_PUSH): "No notification",
}
_ATTACHMENTS = {
    str(AttachmentType.ATTACHMENT_TYPE_UNSPECIFIED): "Nothing",
    str(AttachmentType.ATTACHMENT_TYPE_IMAGE): "Image",
    str(AttachmentType.ATTACHMENT_TYPE_VIDEO): "Video",
    str(AttachmentType.ATTACHMENT_TYPE_AUDIO): "Audio",
    str(AttachmentType.ATTACHMENT_TYPE_FILE): "File",
}


class OptionsSection:
    """Stores each choice in the composition at once; calls `changed` when the attachment changes."""

    def __init__(self, composition: Composition, changed: Callable[[], None]) -> None:
        self._composition = composition
        self._changed = changed
        with Tag("section", "", "card", aria_label="Options"):
            Tag("h2", "Options")
            choice("Messaging type", _KINDS, self._choose_kind, value=str(composition.messaging_type))
            self._kind_hint = Tag("p", "", "hint", role="status")
            self._tagged = Tag("div")
            with self._tagged:
                choice("Tag", _TAGS, self._choose_tag, value=composition.tag)
                self._tag_hint = Tag("p", "", "hint", role="status")
            choice("Notification", _SOUNDS, self._choose_sound, value=str(composition.notification_type))
            choice("Attachment", _ATTACHMENTS, self._choose_attachment, value=str(composition.attachment_type))
            self._address = Tag("div")
            with self._address:
                text_input("URL of the attachment", self._enter_address, value=composition.attachment_url, kind="url")
                Tag(
                    "p",
                    "The platform fetches it from this URL, which may hold variables. Leave the text empty.",
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
        composition = self._composition
        self._kind_hint.update_text(MESSAGING_HINTS[composition.messaging_type])
        self._tagged.show(when=composition.is_tagged)
        self._tag_hint.update_text(TAG_HINTS.get(composition.tag, ""))
        self._address.show(when=bool(composition.attachment_type))
