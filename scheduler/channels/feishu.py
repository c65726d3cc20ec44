"""Feishu and Lark events of schema 2.0, encrypted or not (open.feishu.cn: events sent to a developer's server)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import ValidationError

from scheduler.channels.base import (
    ChannelSecrets,
    EventShape,
    Id,
    IncomingMessage,
    Json,
    Parsed,
    Secret,
    UnreadableEvent,
    as_bad_signature,
    parse_object,
    window,
)
from scheduler.domain.signatures import SignedRequest
from scheduler.domain.signatures.model import Rejected, any_equal, header, text_bytes, unb64

SIGNATURE = "X-Lark-Signature"
TIMESTAMP = "X-Lark-Request-Timestamp"
NONCE = "X-Lark-Request-Nonce"
URL_VERIFICATION = "url_verification"
IV_BYTES = 16
MENTION = re.compile(r"@_user_\d+")


class _Mention(EventShape):
    key: str
    name: str


class _Message(EventShape):
    message_id: Id
    chat_id: Id
    message_type: str
    content: str
    thread_id: Id | None = None
    mentions: list[_Mention] | None = None


class _UserId(EventShape):
    open_id: Id


class _Sender(EventShape):
    sender_id: _UserId
    sender_type: str


class _Received(EventShape):
    sender: _Sender
    message: _Message


class FeishuChannel(ChannelSecrets):
    """A Feishu or Lark app.

    With an Encrypt Key its events are encrypted and signed; otherwise they contain a token.
    """

    kind: ClassVar = "feishu"

    verification_token: Secret
    encrypt_key: Secret | None = None

    def verify(self, request: SignedRequest, now: datetime) -> Json:
        """Verifies the signature if there is an Encrypt Key, and the Verification Token in the event.

        A url_verification is not signed: the token alone proves it. Otherwise an unsigned event is refused for
        that reason, whether or not it could be decrypted, so that nobody can use us to probe other people's
        events.
        """
        if self.encrypt_key is None:
            event = parse_object(request.body)
        else:
            event = self._decrypt_proven(request, self.encrypt_key, now)
        with as_bad_signature():
            if self.encrypt_key is None and "encrypt" in event:
                raise Rejected("it is encrypted, and the channel has no encrypt_key")
            if not self._names_token(event):
                raise Rejected("its Verification Token is not the channel's")
        return event

    def handshake(self, event: Json) -> Json | None:
        """Answers `url_verification` with the challenge."""
        return {"challenge": event.get("challenge")} if event.get("type") == URL_VERIFICATION else None

    def parse(self, event: Json) -> Parsed:
        """Returns an `im.message.receive_v1` that has text."""
        if _header(event).get("event_type") != "im.message.receive_v1":
            return Parsed(ignored="it is not an im.message.receive_v1 of schema 2.0")
        try:
            found = _Received.model_validate(event.get("event"))
        except ValidationError:
            return Parsed(ignored="it is a message of an unknown shape")
        return _parsed(found)

    def _decrypt_proven(self, request: SignedRequest, key: str, now: datetime) -> Json:
        refusal = _why_unsigned(request, key, now)
        event = _opened(key, request.body)
        is_handshake = event is not None and self.handshake(event) is not None and self._names_token(event)
        with as_bad_signature():
            if refusal is not None and not is_handshake:
                raise refusal
        if event is None:
            raise UnreadableEvent("The event cannot be decrypted with the channel's encrypt_key.")
        return event

    def _names_token(self, event: Json) -> bool:
        token = event.get("token", _header(event).get("token"))
        return isinstance(token, str) and any_equal([token], [self.verification_token])


def _why_unsigned(request: SignedRequest, key: str, now: datetime) -> Rejected | None:
    """Checks SHA-256(timestamp, nonce, key, body), in hex.

    A plain hash allows appending to a signed body, but the body is then no longer JSON.
    """
    try:
        timestamp, nonce = header(request, TIMESTAMP), header(request, NONCE)
        window(now).check(timestamp)
        digest = sha256(text_bytes(timestamp + nonce + key) + request.body).hexdigest()
        if not any_equal([header(request, SIGNATURE)], [digest]):
            raise Rejected(f"{SIGNATURE} is not a signature made with the channel's encrypt_key")
    except Rejected as rejected:
        return rejected
    return None


def _opened(key: str, body: bytes) -> Json | None:
    try:
        return parse_object(decrypt(key, str(parse_object(body).get("encrypt"))))
    except (UnreadableEvent, ValueError):
        return None


def decrypt(key: str, encrypted: str) -> bytes:
    """Decrypts AES-256-CBC with the SHA-256 of the Encrypt Key, from base64 of the vector and the text (PKCS #7
    padding).

    Raises ValueError when that fails.
    """
    data = unb64(encrypted)
    opener = Cipher(AES(sha256(key.encode()).digest()), CBC(data[:IV_BYTES])).decryptor()
    unpadder = PKCS7(AES.block_size).unpadder()
    padded = opener.update(data[IV_BYTES:]) + opener.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def _header(event: Json) -> Mapping[str, Any]:
    found = event.get("header")
    return found if isinstance(found, dict) else {}


def _parsed(event: _Received) -> Parsed:
    message = event.message
    if message.message_type not in ("text", "post"):
        return Parsed(ignored="it is not a text")
    try:
        content = parse_object(text_bytes(message.content))
    except UnreadableEvent:
        return Parsed(ignored="it is a text of an unknown shape")
    names = {mention.key: f"@{mention.name}" for mention in message.mentions or []}
    found = IncomingMessage(
        message_id=message.message_id,
        user_id=event.sender.sender_id.open_id,
        conversation_id=f"{message.chat_id}:{message.thread_id}" if message.thread_id else message.chat_id,
        text=MENTION.sub(lambda match: names.get(match[0], match[0]), _text(content)),
        is_bot=event.sender.sender_type != "user",
    )
    return Parsed((found,))


def _text(content: Json) -> str:
    """Returns the text of a message, or the title and paragraphs of a post."""
    if isinstance(content.get("text"), str):
        return str(content["text"])
    paragraphs = content.get("content")
    lines = [str(content.get("title") or "")]
    lines += ["".join(map(_run, line)) for line in _list(paragraphs) for line in [_list(line)]]
    return "\n".join(lines).strip()


def _run(piece: object) -> str:
    """Returns one piece of a paragraph: a text, a link's text, or a mentioned person; omits pictures."""
    if not isinstance(piece, dict):
        return ""
    if piece.get("tag") == "at":
        name = piece.get("user_name")
        return f"@{name}" if name else str(piece.get("user_id"))
    text = piece.get("text")
    return text if isinstance(text, str) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
