"""POST /hooks/{token}: what is accepted, what is refused, in which order, and what is stored."""

from __future__ import annotations

import base64
import hmac
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from scheduler.domain.clock import SystemClock
from scheduler.domain.errors import DatabaseUnavailable
from scheduler.domain.signatures import sign_standard_webhooks
from scheduler.intake.webhooks.cache import HookMemory
from scheduler.intake.webhooks.intake import Delivery, Intake
from scheduler.intake.webhooks.recording import KEPT_A_MINUTE, REFUSED_BYTES
from scheduler.intake.webhooks.statements import Hook as LockedHook
from scheduler.intake.webhooks.statements import lock_hooks
from scheduler.storage.engine import Database
from scheduler.triggers.webhook import USUAL_BODY as MAX_BODY
from tests.support.api import Api, running_api
from tests.support.factories import BOX
from tests.support.hooks import NO_LIMIT, Hook, github_signature, make_hook

SECRET = "It's a Secret to Everybody"
SIGNED = {"signature": {"scheme": "github", "secret": SECRET}}


def test_a_delivery_is_kept_byte_for_byte(api: Api) -> None:
    """Body and content type of the firing are unchanged, text or not."""
    hook = make_hook(api)
    body = bytes(range(256))
    firing_id = hook.accepted(body, content_type="text/x-odd; charset=nonsense")
    (firing,) = hook.firings()
    assert (str(firing.id), firing.payload, firing.content_type) == (
        firing_id,
        body,
        "text/x-odd; charset=nonsense",
    )
    assert (firing.trust, firing.slot_count) == ("unauthenticated", 1)
    (delivery,) = hook.deliveries()
    assert (delivery["verdict"], delivery["firing_id"], delivery["size"]) == ("accepted", firing_id, 256)


def test_deliveries_without_an_id_are_each_their_own(api: Api) -> None:
    """Two equal ones in the same second are two firings, in one invocation."""
    hook = make_hook(api)
    first, second = hook.accepted(b"same"), hook.accepted(b"same")
    assert first != second
    assert len({firing.invocation_id for firing in hook.firings()}) == 1
    assert api.get(f"/triggers/{hook.id}")["fire_count"] == 2


def test_the_largest_body_is_taken_and_one_byte_more_is_not(api: Api) -> None:
    """The limit is 64 KiB."""
    hook = make_hook(api)
    hook.accepted(b"x" * MAX_BODY)
    hook.refused(413, b"x" * (MAX_BODY + 1))
    assert hook.verdicts() == ["accepted"]


def test_size_comes_before_the_token_and_the_token_before_the_signature(api: Api) -> None:
    """A caller without the token learns nothing about the webhook."""
    hook = make_hook(api, SIGNED)
    unknown = Hook(api, {"id": hook.id, "hook_url": "/hooks/unknown"})
    unknown.refused(413, b"x" * (MAX_BODY + 1))
    unknown.refused(404)
    hook.refused(413, b"x" * (MAX_BODY + 1))
    hook.refused(401)


@pytest.mark.parametrize("how", ["paused", "deleted", "expired", "agent deleted", "rotated", "max_fires"])
def test_a_webhook_that_may_not_fire_answers_as_if_there_were_none(api: Api, how: str) -> None:
    """404 whatever the reason, and nothing is stored. What was accepted before is still a duplicate."""
    soon = (SystemClock().now() + timedelta(hours=1)).isoformat()
    hook = make_hook(api, max_fires=1 if how == "max_fires" else None, expires_at=soon)
    firing_id = hook.accepted(webhook_id="1")
    if how == "paused":
        api.post(f"/triggers/{hook.id}/pause", status=200)
    elif how == "deleted":
        api.delete(f"/triggers/{hook.id}")
    elif how == "agent deleted":
        api.delete(f"/agents/{hook.trigger['agent_id']}")
    elif how == "rotated":
        api.post(f"/triggers/{hook.id}/rotate-token", status=200)
    elif how == "expired":
        with api.db.begin() as conn:
            conn.execute(text("UPDATE triggers SET expires_at = clock_timestamp() - interval '1 second'"))
    detail = hook.refused(404, webhook_id="2").json
    if how in ("paused", "expired", "max_fires"):
        assert hook.post(webhook_id="1").json == {"firing_id": firing_id, "duplicate": True}
    else:
        hook.refused(404, webhook_id="1")
    unknown = Hook(api, {"id": "", "hook_url": "/hooks/unknown"}).refused(404).json
    assert detail == unknown
    assert len(hook.firings()) == 1


def test_a_wrong_signature_is_refused_before_the_duplicate(api: Api) -> None:
    """A sender that cannot sign does not learn which ids exist, and cannot use up the rate."""
    hook = make_hook(api, SIGNED, rate=1)
    signature = github_signature(b"{}", SECRET)
    firing_id = hook.accepted(x_github_delivery="1", x_hub_signature_256=signature)
    for wrong in ("sha256=00", github_signature(b"{}", "another"), "é"):
        hook.refused(401, x_github_delivery="1", x_hub_signature_256=wrong)
        hook.refused(401, x_github_delivery="2", x_hub_signature_256=wrong)
    (firing,) = hook.firings()
    assert (str(firing.id), firing.trust) == (firing_id, "verified")


def test_a_changed_secret_holds_at_once(api: Api) -> None:
    """What a process caches about a webhook never outlives the row that it was read from."""
    hook = make_hook(api, SIGNED)
    hook.accepted(x_hub_signature_256=github_signature(b"{}", SECRET))
    both = {"signature": {"secret": ["new", SECRET]}}
    api.patch(f"/triggers/{hook.id}", {"config": both})
    for secret in ("new", SECRET):
        hook.accepted(x_hub_signature_256=github_signature(b"{}", secret))
    api.patch(f"/triggers/{hook.id}", {"config": {"signature": {"secret": "new"}}})
    hook.refused(401, x_hub_signature_256=github_signature(b"{}", SECRET))
    api.patch(f"/triggers/{hook.id}", {"config": {"signature": None}})
    hook.accepted()


def test_a_replayed_standard_webhook_is_a_duplicate_whatever_is_put_beside_it(api: Api) -> None:
    """The signed id counts; other id headers, which anyone can add, do not."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    hook = make_hook(api, {"signature": {"scheme": "standard-webhooks", "secret": secret}})
    signed = sign_standard_webhooks(secret, "msg_1", int(SystemClock().now().timestamp()), b"{}")
    headers = {name.replace("-", "_"): value for name, value in signed.items()}
    firing_id = hook.accepted(b"{}", **headers)
    replayed = hook.post(b"{}", **headers, x_github_delivery="other", idempotency_key="other")
    assert replayed.json == {"firing_id": firing_id, "duplicate": True}


@pytest.mark.parametrize("public_url", [None, "https://hooks.example.org/in"])
def test_a_signature_over_the_address_is_checked_against_the_public_one(
    database_url: str, public_url: str | None
) -> None:
    """Twilio signs the exact URL that it called, which a proxy may have changed."""
    with running_api(database_url, public_url=public_url) as api:
        hook = make_hook(api, {"signature": {"scheme": "twilio", "secret": "token"}}, rate=NO_LIMIT)
        path = f"{hook.path}?a=b%20c%2F&d"
        called = (public_url or "http://localhost") + path
        fields = {"To": "+1", "Body": "hello"}
        for signed, status in ((called, 202), (called.replace("%20", " "), 401)):
            content = signed + "".join(name + fields[name] for name in sorted(fields))
            digest = hmac.digest(b"token", content.encode(), "sha1")
            headers = {"X-Twilio-Signature": base64.b64encode(digest).decode()}
            response = api.app.test_client().post(path, data=fields, headers=headers)
            assert response.status_code == status, response.text


def test_an_id_that_anybody_can_write_never_drops_another_body(api: Api) -> None:
    """Without a signature, the same id with another body is a separate delivery, with its own duplicates."""
    hook = make_hook(api, rate=NO_LIMIT)
    bodies = (b"first", b"second", b"")
    firings = [hook.accepted(body, webhook_id="1") for body in bodies]
    for body, firing_id in zip(bodies, firings, strict=True):
        assert hook.post(body, webhook_id="1").json == {"firing_id": firing_id, "duplicate": True}
    assert [each.payload for each in hook.firings()] == list(bodies)


def test_a_known_sender_that_repeats_an_id_is_believed(api: Api) -> None:
    """GitHub signs: the id alone decides, and differences in the repetition are noted."""
    hook = make_hook(api, SIGNED)
    first = hook.accepted(b"a", x_github_delivery="1", x_hub_signature_256=github_signature(b"a", SECRET))
    again = hook.post(b"b", x_github_delivery="1", x_hub_signature_256=github_signature(b"b", SECRET))
    assert again.json == {"firing_id": first, "duplicate": True}
    assert hook.deliveries()[0]["reason"] == "its body differs from that of the first one"


def test_a_duplicate_is_answered_with_the_first_firing_and_spends_no_rate(api: Api) -> None:
    """Even when the rate is used up: a sender that retries is told that its delivery arrived."""
    hook = make_hook(api, rate=2)
    first = hook.accepted(idempotency_key="a")
    for _ in range(4):
        assert hook.post(idempotency_key="a").json == {"firing_id": first, "duplicate": True}
    hook.accepted(idempotency_key="b")
    hook.refused(429, idempotency_key="c")
    assert hook.post(idempotency_key="a").json == {"firing_id": first, "duplicate": True}
    assert len(hook.firings()) == 2


def test_the_rate_is_the_agents_under_the_tenants_ceiling(api: Api) -> None:
    """Lowering the tenant's ceiling applies to existing agents."""
    hook = make_hook(api, rate=4)
    hook.accepted()
    with api.db.begin() as conn:
        conn.execute(text("UPDATE tenants SET max_webhook_rate = 2"))
    hook.accepted()
    hook.refused(429)


def test_the_minute_slides_and_retry_after_says_when_the_oldest_leaves_it(api: Api, database_url: str) -> None:
    """A web process that never saw these deliveries counts them too."""
    hook = make_hook(api, rate=3)
    for _ in range(3):
        hook.accepted()
    for ago, of_place in ((70, 1), (45, 2), (10, 3)):
        with api.db.begin() as conn:
            conn.execute(
                text("""
                    UPDATE webhook_deliveries SET received_at = clock_timestamp() - make_interval(secs => :ago)
                    WHERE id = (SELECT id FROM webhook_deliveries ORDER BY id OFFSET :place - 1 LIMIT 1)
                """),
                {"ago": ago, "place": of_place},
            )
    with running_api(database_url) as other:
        elsewhere = Hook(other, hook.trigger)
        elsewhere.accepted()
        assert elsewhere.refused(429).headers["Retry-After"] in ("14", "15")


def test_what_a_process_remembers_leaves_the_minute_too(api: Api) -> None:
    """Cached times expire after a minute too, and the lower bound of what is read moves on."""
    hook = make_hook(api, rate=5)
    for _ in range(2):
        hook.accepted()
    memory = HookMemory(BOX)
    with api.db.begin() as conn:
        _, meters = memory.meters(conn, _locked(conn))
        assert [len(meter.times) for meter in meters.values()] == [2]
        conn.execute(text("UPDATE webhook_deliveries SET received_at = received_at - interval '1 hour'"))
    for times in memory._times.values():
        shifted = [each - timedelta(hours=1) for each in times]
        times.clear()
        times.extend(shifted)
    hook.accepted()
    with api.db.begin() as conn:
        _, meters = memory.meters(conn, _locked(conn))
        assert [len(meter.times) for meter in meters.values()] == [1]


def test_max_fires_holds_within_one_transaction(api: Api) -> None:
    """Of many deliveries that are recorded together, no more fire than allowed."""
    hook = make_hook(api, rate=NO_LIMIT, max_fires=3)
    with ThreadPoolExecutor(12) as pool:
        codes = [each.status_code for each in pool.map(lambda _: hook.post(), range(12))]
    assert sorted(codes) == [202] * 3 + [404] * 9
    trigger = api.get(f"/triggers/{hook.id}")
    assert (trigger["fire_count"], trigger["is_enabled"], trigger["paused_note"]) == (3, False, "max_fires")


def test_a_flood_of_refused_deliveries_is_bounded_and_audited_once(api: Api) -> None:
    """Twenty of each kind per minute are stored, with the beginning of the body; the audit has each kind once."""
    hook = make_hook(api, SIGNED, rate=1)
    signature = github_signature(b"{}", SECRET)
    hook.accepted(x_hub_signature_256=signature)
    for _ in range(KEPT_A_MINUTE + 5):
        hook.refused(401, b"x" * 3 * REFUSED_BYTES)
        hook.refused(429, x_hub_signature_256=signature)
    verdicts = hook.verdicts()
    assert verdicts.count("bad_signature") == KEPT_A_MINUTE
    assert verdicts.count("rate_limited") == KEPT_A_MINUTE
    for action in ("webhook.rejected", "webhook.rate_limited"):
        (event,) = api.get("/audit", action=action)["items"]
        assert (event["subject_id"], event["agent_id"]) == (hook.id, hook.trigger["agent_id"])
        assert event["detail"]["reason"]
    with api.db.begin() as conn:
        most = "SELECT max(octet_length(body)) FROM webhook_deliveries WHERE verdict <> 'accepted'"
        assert conn.execute(text(most)).scalar() == REFUSED_BYTES


def test_ids_of_any_length_and_kind_tell_deliveries_apart(api: Api) -> None:
    """Long ids that differ only at their end are different; each has its own duplicates."""
    hook = make_hook(api, rate=NO_LIMIT)
    ids = ["x" * 3000 + "1", "x" * 3000 + "2", "%00'\"\\{,}", "ünï"]
    firings = [hook.accepted(webhook_id=each) for each in ids]
    assert len(set(firings)) == len(ids)
    again = [hook.post(webhook_id=each).json for each in ids]
    assert again == [{"firing_id": each, "duplicate": True} for each in firings]


def test_a_webhook_that_cannot_be_read_does_not_fail_its_neighbours(api: Api) -> None:
    """A stored secret whose key was lost: its own deliveries fail, those recorded together with it do not."""
    good, bad = make_hook(api, rate=NO_LIMIT), make_hook(api, SIGNED, rate=NO_LIMIT)
    with api.db.begin() as conn:
        conn.execute(text("UPDATE triggers SET secret = 'x' WHERE id = :id"), {"id": bad.id})
    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(lambda place: (bad if place % 4 == 0 else good).post().status_code, range(24)))
    assert codes == [500 if place % 4 == 0 else 202 for place in range(24)]
    assert len(good.firings()) == 18


def test_without_a_database_a_delivery_is_not_answered_as_taken() -> None:
    """DatabaseUnavailable, which the API answers with 503: the sender tries again."""
    db = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable):
        Intake(db, BOX).receive(Delivery(b"", {}, b""))
    db.dispose()


def _locked(conn: Connection) -> list[LockedHook]:
    hashes = conn.execute(text("SELECT token_hash FROM triggers")).scalars().all()
    return list(lock_hooks(conn, hashes).values())
