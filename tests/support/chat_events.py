"""Chat events in the documented formats of their providers, with each provider's signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

SLACK_SECRET = "slack secret"
DISCORD_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
DISCORD_PUBLIC_KEY = DISCORD_KEY.public_key().public_bytes_raw().hex()
LARK_KEY = "lark key"
LARK_TOKEN = "vtok"


def dump(event: object) -> bytes:
    """Serializes an event as it is sent."""
    return json.dumps(event).encode()


def slack_event(
    text: str = "hello", /, *, event_id: str = "Ev1", outer: Any = None, **fields: Any
) -> dict[str, Any]:
    """Builds a message that a person wrote in a channel."""
    event = {
        "type": "message",
        "channel": "C123ABC456",
        "user": "U123ABC456",
        "text": text,
        "ts": "1355517523.000005",
        "event_ts": "1355517523.000005",
        "channel_type": "channel",
        "team": "T123ABC456",
    }
    return {
        "token": "XXYYZZ",
        "team_id": "T123ABC456",
        "api_app_id": "A123ABC456",
        "event": event | fields,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": 1355517523,
        "authorizations": [{"team_id": "T123ABC456", "user_id": "UBOT", "is_bot": True}],
        **(outer or {}),
    }


def slack_headers(body: bytes, at: float, secret: str = SLACK_SECRET) -> dict[str, str]:
    """Returns Slack's signature of `body` at `at`, in unix seconds."""
    signed = b"v0:%d:%b" % (at, body)
    return {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": str(int(at)),
        "X-Slack-Signature": "v0=" + hmac.digest(secret.encode(), signed, hashlib.sha256).hex(),
    }


def discord_command(*options: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Builds a slash command that a member of a server used."""
    user = {"id": "80351110224678912", "username": "nelly", "global_name": "Nelly", "discriminator": "0"}
    return {
        "id": "786008729715212338",
        "application_id": "775799577604522054",
        "type": 2,
        "token": "A_UNIQUE_TOKEN",
        "version": 1,
        "guild_id": "290926798626357999",
        "channel_id": "645027906669510667",
        "locale": "en-US",
        "member": {"user": user, "nick": None, "roles": [], "permissions": "2147483647"},
        "data": {"id": "771825006014889984", "type": 1, "name": "ask", "options": list(options)},
        **fields,
    }


def option(value: Any, name: str = "question", type: int = 3) -> dict[str, Any]:  # noqa: A002
    """Builds an argument of a slash command."""
    return {"name": name, "type": type, "value": value}


def discord_headers(body: bytes, at: float, key: Ed25519PrivateKey = DISCORD_KEY) -> dict[str, str]:
    """Returns Discord's signature of `body` at `at`, in unix seconds."""
    timestamp = str(int(at))
    return {
        "Content-Type": "application/json",
        "X-Signature-Timestamp": timestamp,
        "X-Signature-Ed25519": key.sign(timestamp.encode() + body).hex(),
    }


def feishu_event(text: str = "hello", /, *, sender_type: str = "user", header: Any = None, **message: Any) -> Any:
    """Builds a message that a person wrote in a group."""
    ids = {"union_id": "on_8ed6aa67826108097d9ee143816345", "user_id": "e33ggbyz"}
    return {
        "schema": "2.0",
        "header": {
            "event_id": "5e3702a84e847582be8db7fb73283c02",
            "event_type": "im.message.receive_v1",
            "create_time": "1608725989000",
            "token": LARK_TOKEN,
            "app_id": "cli_9f5343c580712544",
            "tenant_key": "2ca1d211f64f6438",
            **(header or {}),
        },
        "event": {
            "sender": {
                "sender_id": ids | {"open_id": "ou_84aad35d084aa403a838cf73ee18467"},
                "sender_type": sender_type,
                "tenant_key": "736588c9260f175e",
            },
            "message": {
                "message_id": "om_5ce6d572455d361153b7cb51da133945",
                "create_time": "1609073151345",
                "chat_id": "oc_5ce6d572455d361153b7xx51da133945",
                "chat_type": "group",
                "message_type": "text",
                "content": json.dumps({"text": text}),
                **message,
            },
        },
    }


def feishu_challenge(token: str = LARK_TOKEN) -> dict[str, str]:
    """Builds the request that tests a request URL."""
    return {"challenge": "ajls384kdjx98XX", "token": token, "type": "url_verification"}


def encrypted(event: object, key: str = LARK_KEY) -> bytes:
    """Encrypts an event as an app with an Encrypt Key sends it."""
    padder, vector = PKCS7(128).padder(), os.urandom(16)
    sealer = Cipher(AES(hashlib.sha256(key.encode()).digest()), CBC(vector)).encryptor()
    text = padder.update(dump(event)) + padder.finalize()
    return dump({"encrypt": base64.b64encode(vector + sealer.update(text) + sealer.finalize()).decode()})


def feishu_headers(body: bytes, at: float, key: str = LARK_KEY) -> dict[str, str]:
    """Returns Feishu's signature of `body` at `at`, in unix seconds."""
    signed = f"{int(at)}nonce-1{key}".encode() + body
    return {
        "Content-Type": "application/json",
        "X-Lark-Request-Timestamp": str(int(at)),
        "X-Lark-Request-Nonce": "nonce-1",
        "X-Lark-Signature": hashlib.sha256(signed).hexdigest(),
    }


def telegram_update(text: str = "hello", /, **fields: Any) -> dict[str, Any]:
    """Builds a message that a person wrote to a bot."""
    person = {"id": 1111111, "is_bot": False, "first_name": "Ada", "last_name": "Byron", "username": "ada"}
    chat = {"id": -1001234567890, "type": "supergroup", "title": "Engines"}
    message = {"message_id": 1365, "from": person, "chat": chat, "date": 1441645532, "text": text}
    return {"update_id": 10000, "message": message | fields}


TEAMS_TOKEN = "c2VjcmV0IG9mIHRoZSB0ZWFt"


def teams_activity(text: str = "<at>Reveille</at> hello", /, **fields: Any) -> dict[str, Any]:
    """Builds a message that a person wrote to an outgoing webhook."""
    return {
        "type": "message",
        "id": "1485983408511",
        "timestamp": "2017-02-01T21:10:07.437Z",
        "serviceUrl": "https://smba.trafficmanager.net/amer/",
        "channelId": "msteams",
        "from": {
            "id": "29:1XJKJMvc5GBtc2JwZq0oj8tHZmzrQgFmB25ATiQWA85g",
            "name": "Ada Byron",
            "aadObjectId": "a-b",
        },
        "conversation": {"id": "19:253b1f341670408fb6fe51050b6e5ceb@thread.skype;messageid=1485983194839"},
        "text": text,
        **fields,
    }


def mattermost_post(text: str = "hello", /, **fields: Any) -> dict[str, Any]:
    """Builds a message that a person wrote in a channel."""
    return {
        "token": "t",
        "team_id": "rdc9bgriktyx9p4kowh3dmgqyc",
        "team_domain": "engines",
        "channel_id": "xr3j5x3p4pfk7kk6ck7b4e6ghh",
        "channel_name": "town",
        "timestamp": 1445532266,
        "user_id": "c3a4cqe3dfy6dgopqt8ai3hydh",
        "user_name": "ada",
        "post_id": "axdygg1957njfe5pu38saikdho",
        "text": text,
        "trigger_word": "",
        **fields,
    }
