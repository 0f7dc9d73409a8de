"""What stores refuse for good: it is said at once, in a sentence that says what to do, and isn't tried again."""

from urllib.parse import quote, urlsplit

import pytest
from services.refusing import refusing

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.destinations.iceberg.catalog import may_pass
from tailrace.errors import DestinationError
from tailrace.objects import Folder, StoreSettings
from tailrace.objects.errors import is_passing
from tailrace.testing.messages import INT, record, schema
from tailrace.testing.parts import PIPELINE

SECRET = "never/told+secret"
REFUSALS = [
    (403, "AccessDenied", "permissions"),
    (403, "SignatureDoesNotMatch", "secret_access_key"),
    (403, "InvalidAccessKeyId", "access_key_id"),
    (400, "ExpiredToken", "keys have ended"),
    (401, "Unauthorized", "access_key_id"),
    (301, "PermanentRedirect", "region"),
    (400, "AuthorizationHeaderMalformed", "region"),
    (404, "NoSuchBucket", "no such bucket"),
    (400, "InvalidBucketName", "name"),
]
BUSY = [(500, "InternalError"), (503, "SlowDown"), (429, "TooManyRequests"), (400, "RequestTimeout")]


def given(endpoint):
    keys = {"access_key_id": "key", "secret_access_key": SECRET, "region": "eu-west-1"}
    return keys | {"endpoint": endpoint}


def is_a_sentence(error, wanted):
    text = str(error)
    assert wanted in text
    assert "\n" not in text
    assert "<" not in text
    assert "Raw words" not in text
    assert SECRET not in text
    return True


@pytest.mark.parametrize(("status", "code", "wanted"), REFUSALS)
@pytest.mark.parametrize("scheme", ["s3", "delta+s3"], ids=["files", "delta"])
def test_a_load_that_is_refused_for_good_ends_at_its_first_request(scheme, status, code, wanted):
    with refusing(status, code) as store:
        with pytest.raises(DestinationError) as caught:
            load([schema({"id": INT}), record({"id": 1})], f"{scheme}://shop/lake", **given(store.endpoint))
        assert is_a_sentence(caught.value, wanted)
        assert "s3://shop/lake" in str(caught.value)
        assert store.asked <= 2  # the second is what is tidied up


@pytest.mark.parametrize(("status", "code", "wanted"), REFUSALS)
def test_check_says_what_a_load_would(status, code, wanted):
    with refusing(status, code) as store:
        destination = open_destination("s3://shop/lake", given(store.endpoint))
        with pytest.raises(DestinationError) as caught:
            destination.check()
        assert is_a_sentence(caught.value, wanted)
        assert store.asked == 1


@pytest.mark.parametrize(("status", "code", "wanted"), REFUSALS)
@pytest.mark.parametrize(
    "call",
    [
        lambda folder: folder.put("a", b""),
        lambda folder: folder.put_new("a", b""),
        lambda folder: folder.get("a"),
        lambda folder: folder.remove(["a"]),
        lambda folder: [*folder.names()],
    ],
    ids=["put", "put_new", "get", "remove", "names"],
)
def test_each_call_is_refused_once(call, status, code, wanted):
    with refusing(status, code) as store:
        with pytest.raises(DestinationError) as caught:
            call(Folder(StoreSettings(**given(store.endpoint)), "s3://shop/lake"))
        assert is_a_sentence(caught.value, wanted)
        assert not is_passing(caught.value.__cause__)
        assert store.asked == 1


@pytest.mark.parametrize(("status", "code"), BUSY)
def test_a_store_that_is_busy_may_be_asked_again(status, code, monkeypatch):
    monkeypatch.setattr("tailrace.objects.stores.ATTEMPTS", 1)
    with refusing(status, code) as store:
        settings = StoreSettings(**given(store.endpoint))
        with pytest.raises(DestinationError) as caught:
            [*Folder(settings, "s3://shop/lake").names()]
        assert is_passing(caught.value.__cause__)


@pytest.mark.parametrize(("status", "code", "wanted"), [*REFUSALS[:4], (403, "InvalidClientTokenId", "access_key_id")])
def test_a_role_that_is_refused_says_what_to_do(status, code, wanted, monkeypatch):
    with refusing(status, code) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", store.endpoint)
        settings = StoreSettings(**given(store.endpoint), role_arn="arn:aws:iam::111111111111:role/loader")
        with pytest.raises(DestinationError) as caught:
            settings.credentials()
        assert is_a_sentence(caught.value, wanted)
        assert not is_passing(caught.value.__cause__)
        assert store.asked == 1


@pytest.mark.parametrize(("status", "code", "wanted"), REFUSALS)
def test_an_iceberg_load_that_is_refused_for_good_ends_with_what_to_do(status, code, wanted, tmp_path):
    with refusing(status, code) as store:
        url = f"iceberg+sqlite:///{tmp_path}/catalog.db?warehouse=s3://shop/lake&namespace=main"
        with pytest.raises(DestinationError) as caught:
            load([schema({"id": INT}), record({"id": 1})], url, **given(store.endpoint))
        assert is_a_sentence(caught.value, wanted)
        assert "shop" in str(caught.value)
        assert store.asked <= 4


@pytest.mark.parametrize(
    ("status", "wanted"),
    [(401, "`token` or `credential`"), (403, "rights"), (404, "catalog")],
    ids=["401", "403", "404"],
)
def test_a_rest_catalog_that_refuses_says_what_to_do(status, wanted):
    with refusing(status, "Refused") as catalog:
        with pytest.raises(DestinationError) as caught:
            load([schema({"id": INT}), record({"id": 1})], f"iceberg+{catalog.endpoint}", properties={"token": SECRET})
        assert is_a_sentence(caught.value, wanted)
        assert catalog.asked == 1


@pytest.mark.parametrize(("status", "code", "wanted"), [REFUSALS[0], REFUSALS[1], REFUSALS[7]])
def test_a_bucket_of_redshift_that_refuses_ends_the_load_with_what_to_do(redshift_url, status, code, wanted):
    with refusing(status, code) as store:
        with pytest.raises(DestinationError) as caught:
            load([schema({"id": INT}), record({"id": 1})], redshift_url, **given(store.endpoint))
        assert is_a_sentence(caught.value, wanted)
        assert store.asked <= 3  # the others tidy up


@pytest.mark.parametrize("wrong", ["user", "database"])
def test_a_sql_catalog_that_lets_nobody_in_is_not_asked_again(postgres_url, tmp_path, wrong):
    parts = urlsplit(postgres_url)
    nobody = f"nobody:{quote(SECRET, safe='')}@{parts.netloc.rpartition('@')[2]}"
    netloc = parts.netloc if wrong == "database" else nobody
    path = "/nowhere" if wrong == "database" else parts.path
    url = f"iceberg+postgresql+psycopg://{netloc}{path}?warehouse={tmp_path}/lake"
    with pytest.raises(DestinationError) as caught:
        open_destination(url, {}).recover(PIPELINE)
    assert SECRET not in str(caught.value)
    assert not may_pass(caught.value.__cause__)
