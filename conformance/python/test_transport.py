"""What the official library hides: methods, types, sizes, encodings, headers. Reference: REST contract, sections 1 and 7."""

import contextlib
import gzip
import json
import re
import socket
from urllib.parse import urlsplit

import pytest
import requests
from support.server import ACCOUNT_SID, AUTH_TOKEN

JSON_TYPE = "application/json; charset=utf-8"


@pytest.fixture
def shop(world):
    world.everything = world.queue("Everything")
    world.flow = world.workflow("Flow", {"default_filter": {"queue": world.everything.sid}})
    world.ada = world.worker("Ada", activity="Offline")
    world.path = f"/v1/Workspaces/{world.sid}"
    world.worker_path = f"{world.path}/Workers/{world.ada.sid}"
    return world


def assert_error(answer: requests.Response, status: int, code: int, message: str | None = None) -> None:
    """The answer is an error in the one documented shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    body = answer.json()
    assert set(body) <= {"code", "message", "more_info", "status", "detail", "details"}, "never type or title"
    assert (body["code"], body["status"]) == (code, status)
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert isinstance(body["message"], str) and body["message"]
    if message is not None:
        assert body["message"] == message


# Paths


def test_one_trailing_slash_is_tolerated(shop, wire):
    assert wire("GET", shop.worker_path + "/").json()["sid"] == shop.ada.sid
    assert wire("GET", shop.path + "/Workers/").json()["meta"]["key"] == "workers"
    assert_error(wire("GET", shop.worker_path + "//"), 404, 20404)


def test_paths_compare_with_case(shop, wire):
    for path in (shop.path + "/workers", f"/v1/workspaces/{shop.sid}", f"/V1/Workspaces/{shop.sid}"):
        assert_error(wire("GET", path), 404, 20404)


def test_there_is_no_json_suffix(shop, wire):
    assert_error(wire("GET", shop.worker_path + ".json"), 404, 20404)
    assert_error(wire("GET", shop.path + "/Workers.json"), 404, 20404)


def test_unknown_paths_are_404_in_the_documented_shape(shop, wire):
    assert_error(wire("GET", "/v1/Nothing"), 404, 20404, "The requested resource /Nothing was not found")
    assert_error(wire("GET", shop.path + "/OperatingUnits?x=1"), 404, 20404,
                 f"The requested resource /Workspaces/{shop.sid}/OperatingUnits was not found")  # fmt: skip
    assert_error(wire("GET", "/nothing"), 404, 20404)


def test_percent_encoding_is_decoded_once(shop, wire):
    encoded = "".join(f"%{ord(letter):02X}" for letter in shop.ada.sid)
    assert wire("GET", f"{shop.path}/Workers/{encoded}").json()["sid"] == shop.ada.sid
    assert_error(wire("GET", f"{shop.path}/Workers/" + encoded.replace("%", "%25")), 404, 20404)
    assert_error(wire("GET", f"{shop.path}/Workers/%FF%FE"), 404, 20404)
    assert_error(wire("GET", f"{shop.path}/Workers/{shop.ada.sid}%00"), 404, 20404)


def test_the_index(server, wire):
    for path in ("/", "/v1"):
        answer = wire("GET", path)
        assert answer.status_code == 200
        assert answer.json() == {"links": {"workspaces": server.url + "/v1/Workspaces"}}
    assert requests.get(server.url + "/v1", timeout=30).status_code == 401


def test_nothing_is_ever_redirected(shop, wire):
    for path in (
        "/v1/",
        "/v1/Workspaces/",
        shop.path + "/",
        "//v1/Workspaces",
        "/v1//Workspaces",
        "/v1/../v1/Workspaces",
    ):
        assert wire("GET", path).status_code in (200, 404), path


def test_literal_names_win_over_sids(shop, wire):
    for name in ("Statistics", "CumulativeStatistics", "RealTimeStatistics"):
        assert "workspace_sid" in wire("GET", f"{shop.path}/Workers/{name}").json()
    assert wire("GET", f"{shop.path}/TaskQueues/Statistics").json()["meta"]["key"] == "task_queues_statistics"


# Methods


ALLOWED = [
    ("", {"GET", "POST", "DELETE"}),
    ("/Workers", {"GET", "POST"}),
    ("/Workers/{worker}", {"GET", "POST", "DELETE"}),
    ("/Workers/{worker}/Channels", {"GET"}),
    ("/Workers/{worker}/Channels/default", {"GET", "POST"}),
    ("/Workers/{worker}/Reservations", {"GET"}),
    ("/Workers/Statistics", {"GET"}),
    ("/Events", {"GET"}),
    ("/TaskQueues/RealTimeStatistics", {"POST"}),
    ("/TaskQueues/Statistics", {"GET"}),
    ("/Statistics", {"GET"}),
]


@pytest.mark.parametrize("suffix, allowed", ALLOWED, ids=[suffix or "/" for suffix, _ in ALLOWED])
def test_a_wrong_method_is_405_with_allow(shop, wire, suffix, allowed):
    path = shop.path + suffix.format(worker=shop.ada.sid)
    for method in ("GET", "POST", "DELETE", "PUT", "PATCH", "TRACE", "BREW"):
        if method in allowed:
            continue
        answer = wire(method, path)
        assert_error(answer, 405, 20004)
        names = {name.strip() for name in answer.headers["Allow"].split(",")}
        assert names - {"HEAD", "OPTIONS"} == allowed, (method, answer.headers["Allow"])


def test_an_unknown_path_wins_over_a_wrong_method_and_that_over_a_missing_resource(shop, wire):
    assert_error(wire("PUT", shop.path + "/Nothing"), 404, 20404)
    assert_error(wire("PUT", f"{shop.path}/Workers/WK{'0' * 32}"), 405, 20004)


def test_head_is_get_without_a_body(shop, wire):
    got, head = wire("GET", shop.worker_path), wire("HEAD", shop.worker_path)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("Content-Type", "ETag", "Cache-Control"):
        assert head.headers[name] == got.headers[name]
    assert wire("HEAD", f"{shop.path}/Workers/WK{'0' * 32}").status_code == 404


# CORS


def test_options_needs_no_credentials_and_says_what_is_allowed(shop, server):
    for suffix in ("", "/Workers", f"/Workers/{shop.ada.sid}", "/TaskQueues/RealTimeStatistics"):
        answer = requests.options(
            server.url + shop.path + suffix, headers={"Origin": "https://app.example"}, timeout=30
        )
        assert answer.status_code == 204
        assert answer.content == b""
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, DELETE, OPTIONS"
        assert answer.headers["Access-Control-Allow-Headers"] == (
            "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since"
        )
        assert answer.headers["Access-Control-Max-Age"] == "600"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_cors_headers_are_on_every_answer(shop, wire, server):
    answers = [
        wire("GET", shop.worker_path),
        wire("GET", shop.path + "/Nothing"),
        wire("PUT", shop.worker_path),
        wire("DELETE", shop.worker_path),
        requests.get(server.url + shop.path, timeout=30),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 405, 204, 401]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Expose-Headers"] == (
            "ETag, Pointsman-Warnings, Twilio-Request-Id, X-Rate-Limit-Limit, X-Rate-Limit-Remaining, X-Rate-Limit-Config"
        )


# Headers of answers


def test_headers_of_every_answer(shop, wire, server):
    answers = [
        wire("GET", shop.worker_path),
        wire("POST", shop.path + "/Tasks"),
        wire("GET", shop.path + "/Nothing"),
        wire("DELETE", shop.worker_path),
        requests.get(server.url + shop.path, timeout=30),
    ]
    for answer in answers:
        assert re.fullmatch("RQ[0-9a-f]{32}", answer.headers["Twilio-Request-Id"])
        assert answer.headers["Cache-Control"] == "no-store"
        assert "X-Rate-Limit-Limit" not in answer.headers
    assert len({answer.headers["Twilio-Request-Id"] for answer in answers}) == len(answers)
    assert answers[0].headers["Content-Type"] == answers[1].headers["Content-Type"] == JSON_TYPE


def test_etags_are_where_they_are_documented(shop, wire):
    assert re.fullmatch(r'"\d+"', wire("GET", shop.worker_path).headers["ETag"])
    created = wire("POST", shop.path + "/Tasks")
    assert created.headers["ETag"] == '"0"'
    assert wire("POST", f"{shop.path}/Tasks/{created.json()['sid']}", data={"Priority": "1"}).headers["ETag"] == '"1"'
    for path in ("", "/Activities", f"/TaskQueues/{shop.everything.sid}", f"/Workflows/{shop.flow.sid}", "/TaskChannels/voice",
                 f"/Workers/{shop.ada.sid}/Channels/voice", "/Events", "/Statistics"):  # fmt: skip
        assert "ETag" not in wire("GET", shop.path + path).headers, path


def test_a_deletion_has_an_empty_body(shop, wire):
    answer = wire("DELETE", shop.worker_path)
    assert (answer.status_code, answer.content) == (204, b"")


def test_the_resource_has_no_version_field_and_dates_have_one_form(shop, wire):
    body = wire("GET", shop.worker_path).json()
    assert "version" not in body
    for name in ("date_created", "date_updated", "date_status_changed"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body[name])


# Absolute URLs


def test_urls_follow_the_host_of_the_request(shop, wire):
    body = wire("GET", shop.worker_path, headers={"Host": "router.example:8080"}).json()
    assert body["url"] == f"http://router.example:8080{shop.worker_path}"
    assert all(url.startswith("http://router.example:8080/v1/") for url in body["links"].values())


def test_forwarded_headers_of_an_untrusted_client_are_ignored(shop, wire):
    body = wire(
        "GET", shop.worker_path, headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    ).json()
    assert body["url"].startswith("http://127.0.0.1")


# Authentication


def test_without_credentials(shop, server):
    answer = requests.get(server.url + shop.path, timeout=30)
    assert_error(answer, 401, 20003, "Authentication Error - No credentials provided")
    assert answer.json()["detail"] == "Your AccountSid or AuthToken was incorrect."
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="TaskRouter"'


@pytest.mark.parametrize("header", [
    "Basic", "Basic !!!", "Basic " + "QQ==", "Digest x", "Bearer", "nonsense", "Basic " + "A" * 5000,
])  # fmt: skip
def test_malformed_credentials(shop, server, header):
    answer = requests.get(server.url + shop.path, headers={"Authorization": header}, timeout=30)
    assert answer.status_code in (401, 403), answer.text
    assert answer.headers["Content-Type"].startswith("application/json")


def test_an_unknown_user_and_a_wrong_password_answer_alike(shop, server):
    first = requests.get(server.url + shop.path, auth=(ACCOUNT_SID, "wrong"), timeout=30)
    second = requests.get(server.url + shop.path, auth=("AC" + "f" * 32, AUTH_TOKEN), timeout=30)
    for answer in (first, second):
        assert_error(answer, 401, 20003, "Authenticate")
        assert "detail" not in answer.json()
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="TaskRouter"'
    assert first.json() == second.json()


def test_authentication_comes_before_everything_else(server):
    for method, path in (("GET", "/v1/Nothing"), ("PUT", "/v1/Workspaces"), ("GET", "/v1/Workspaces/WS" + "0" * 32)):
        assert requests.request(method, server.url + path, timeout=30).status_code == 401, path


def test_health_and_openapi_need_no_credentials(server):
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert requests.get(server.url + path, timeout=30).status_code == 200, path
    assert requests.get(server.url + "/openapi.json", timeout=30).json()["openapi"].startswith("3.")


# Bodies


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/xml", "application/octet-stream", "nonsense"]
)
def test_another_media_type_is_415(shop, wire, content_type):
    answer = wire("POST", shop.worker_path, data=b'{"FriendlyName":"Never"}', headers={"Content-Type": content_type})
    assert_error(answer, 415, 20422, "Content-Type must be application/x-www-form-urlencoded")
    assert wire("GET", shop.worker_path).json()["friendly_name"] == "Ada"


def test_a_body_is_sent_as_it_is(shop, wire):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    packed = gzip.compress(b"FriendlyName=Never")
    answer = wire("POST", shop.worker_path, data=packed, headers={**form, "Content-Encoding": "gzip"})
    assert_error(answer, 415, 20422)
    plain = wire("POST", shop.worker_path, data=b"FriendlyName=Ada", headers={**form, "Content-Encoding": "identity"})
    assert plain.status_code == 200
    assert wire("GET", shop.worker_path).json()["friendly_name"] == "Ada"


def test_a_deletion_with_a_body_of_another_type_is_415(shop, wire):
    assert_error(wire("DELETE", shop.worker_path, json={"a": 1}), 415, 20422)
    assert wire("GET", shop.worker_path).status_code == 200
    assert wire("DELETE", shop.worker_path, data={"Ignored": "1"}).status_code == 204


def test_a_head_that_is_too_large_is_refused_as_json(shop, wire):
    assert_error(wire("GET", f"{shop.path}/Workers?FriendlyName=" + "x" * 62_000), 414, 20414)
    assert_error(wire("GET", shop.path, headers={f"X-{number}": "x" for number in range(110)}), 431, 20431)
    assert_error(wire("GET", shop.path, headers={"X-Large": "x" * 66_000}), 431, 20431)
    assert wire("GET", shop.path, headers={"X-Large": "x" * 60_000}).status_code == 200


def test_an_empty_body_may_have_any_type_or_none(shop, wire):
    for headers in ({}, {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}):
        assert wire("POST", shop.worker_path, headers=headers).status_code == 200


@pytest.mark.parametrize("content_type", [
    "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8",
    "application/x-www-form-urlencoded;charset=utf-8", "Application/X-WWW-Form-Urlencoded",
])  # fmt: skip
def test_spellings_of_the_form_type(shop, wire, content_type):
    answer = wire("POST", shop.worker_path, data=b"FriendlyName=Ada+%26%20Co", headers={"Content-Type": content_type})
    assert answer.json()["friendly_name"] == "Ada & Co"


def test_multipart_is_equivalent(shop, wire):
    answer = wire("POST", shop.worker_path, files={"FriendlyName": (None, "Ada Ü"), "Attributes": (None, '{"a": 1}')})
    assert answer.status_code == 200
    assert (answer.json()["friendly_name"], answer.json()["attributes"]) == ("Ada Ü", '{"a": 1}')


def test_a_get_may_carry_a_content_type(shop, wire):
    for content_type in ("application/x-www-form-urlencoded", "application/json"):
        assert wire("GET", shop.path + "/Workers", headers={"Content-Type": content_type}).status_code == 200


def test_accept_is_ignored(shop, wire):
    for accept in ("text/html", "application/xml", "*/*;q=0", ""):
        answer = wire("GET", shop.worker_path, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, JSON_TYPE)


def test_unknown_parameters_are_ignored(shop, wire):
    assert wire("POST", shop.worker_path, data={"Nonsense": "1", "": "2", "attributes": "x"}).status_code == 200
    assert wire("GET", shop.path + "/Workers?Nonsense=1&friendlyname=x").json()["workers"] != []
    created = wire("POST", shop.path + "/Tasks", data={"RequiredAttention": "50", "Unknown": "x"})
    assert created.status_code == 201


def test_parameter_names_compare_with_case(shop, wire):
    assert wire("POST", shop.worker_path, data={"friendlyName": "Never"}).json()["friendly_name"] == "Ada"


def test_of_a_repeated_scalar_the_last_counts(shop, wire):
    answer = wire("POST", shop.worker_path, data=[("FriendlyName", "First"), ("FriendlyName", "Last")])
    assert answer.json()["friendly_name"] == "Last"
    found = wire("GET", shop.path + "/Workers?FriendlyName=Nobody&FriendlyName=last").json()["workers"]
    assert [worker["friendly_name"] for worker in found] == ["Last"]


def test_query_parameters_of_a_post_and_form_fields_of_a_get_are_ignored(shop, wire):
    assert wire("POST", shop.worker_path + "?FriendlyName=Never").json()["friendly_name"] == "Ada"
    found = wire("GET", shop.path + "/Workers", data={"FriendlyName": "Nobody"}).json()["workers"]
    assert len(found) == 1


@pytest.mark.parametrize("body", [b"Attributes=%FF", b"Attributes=\xff", b"Attributes=%00", b"%FF=1", b"FriendlyName=a%00b",
                                  b"Nonsense=%C3%28", b"Attributes=%ED%A0%80"])  # fmt: skip
def test_text_that_is_not_utf_8_or_has_a_null_is_refused(shop, wire, body):
    before = wire("GET", shop.worker_path).headers["ETag"]
    answer = wire("POST", shop.worker_path, data=b"FriendlyName=Never&" + body if not body.startswith(b"Friendly") else body,
                  headers={"Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert_error(answer, 400, 20001)
    if body.startswith(b"Attributes"):
        assert answer.json()["message"] == "Attributes is not valid UTF-8 text"
    kept = wire("GET", shop.worker_path)
    assert (kept.json()["friendly_name"], kept.headers["ETag"]) == ("Ada", before)


def test_a_query_that_is_not_utf_8_is_refused(shop, wire):
    assert_error(wire("GET", shop.path + "/Workers?FriendlyName=%FF"), 400, 20001)


def test_a_percent_sign_without_digits_stands_for_itself(shop, wire):
    answer = wire(
        "POST",
        shop.worker_path,
        data=b"FriendlyName=100%+%zz+%4",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.json()["friendly_name"] == "100% %zz %4"


def test_a_body_of_1_mb_is_read(shop, wire):
    frame = json.dumps({"task_routing": {"default_filter": {"queue": shop.everything.sid}}, "note": ""})
    configuration = frame[:-2] + "n" * (1_000_000 - len(frame)) + frame[-2:]
    answer = wire("POST", f"{shop.path}/Workflows/{shop.flow.sid}", data={"Configuration": configuration})
    assert answer.status_code == 200
    assert answer.json()["configuration"] == configuration


def test_a_body_of_1_mb_of_ignored_parameters_is_read(shop, wire):
    assert wire("POST", shop.worker_path, data={"Nonsense": "x" * 1_000_000}).status_code == 200


@pytest.mark.parametrize("length", [3_000_000, 10_000_000])
def test_a_body_over_2_mib_is_413(shop, wire, length):
    try:
        answer = wire("POST", shop.worker_path, data={"Nonsense": "x" * length})
    except requests.ConnectionError:
        pytest.fail("the connection was cut before the answer could be read")
    assert_error(answer, 413, 20413)
    assert wire("GET", shop.worker_path).json()["friendly_name"] == "Ada"


def test_the_limit_of_a_body_is_2_mib_exactly(shop, wire):
    limit = 2 * 1024 * 1024
    frame = len("FriendlyName=Fits&Nonsense=")
    assert (
        wire("POST", shop.worker_path, data={"FriendlyName": "Fits", "Nonsense": "x" * (limit - frame)}).status_code
        == 200
    )
    assert (
        wire("POST", shop.worker_path, data={"FriendlyName": "Fits", "Nonsense": "x" * (limit - frame + 1)}).status_code
        == 413
    )


@pytest.mark.parametrize("opening, closing", [('{"a":', "}"), ("[", "]")], ids=["objects", "arrays"])
def test_json_of_10_000_levels_is_refused_and_the_server_lives(shop, wire, opening, closing):
    deep = opening * 10_000 + "1" + closing * 10_000
    for path, name in ((shop.worker_path, "Attributes"), (f"{shop.path}/Workflows/{shop.flow.sid}", "Configuration")):
        assert_error(wire("POST", path, data={name: deep}), 400, 20001)
    bulk = wire(
        "POST", f"{shop.path}/TaskQueues/RealTimeStatistics", data=deep, headers={"Content-Type": "application/json"}
    )
    assert_error(bulk, 400, 20001)
    assert wire("GET", shop.worker_path).status_code == 200


def test_an_expression_of_10_000_levels_is_refused_and_the_server_lives(shop, wire):
    deep = "(" * 10_000 + "1==1" + ")" * 10_000
    assert_error(
        wire("POST", shop.path + "/TaskQueues", data={"FriendlyName": "Deep", "TargetWorkers": deep}), 400, 20001
    )
    assert_error(
        wire(
            "POST", shop.path + "/TaskQueues", data={"FriendlyName": "Deep", "TargetWorkers": "NOT " * 20_000 + "1==1"}
        ),
        400,
        20001,
    )
    assert wire("GET", shop.worker_path).status_code == 200


@pytest.mark.parametrize("parameter", ["AssignmentStatus=pending,reserved", "AssignmentStatus=pending&AssignmentStatus=reserved",
                                       "AssignmentStatus=pending%2Creserved"])  # fmt: skip
def test_lists_are_read_from_commas_and_from_repetition(shop, wire, parameter):
    wire("POST", shop.path + "/Tasks")
    assert len(wire("GET", f"{shop.path}/Tasks?{parameter}").json()["tasks"]) == 1


def test_a_media_type_is_looked_at_before_the_resource(shop, wire):
    answer = wire("POST", f"{shop.path}/Workers/WK{'0' * 32}", data=b"x", headers={"Content-Type": "text/plain"})
    assert_error(answer, 415, 20422)


# Connections


def talk(server, request: bytes, *, hang_up: bool = False) -> bytes:
    """Sends bytes and reads until the server closes the connection; `hang_up` closes our half first."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(request)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def test_http_1_0_and_keep_alive(shop, server):
    answer = talk(server, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.") and b" 200 " in answer.split(b"\r\n", 1)[0]
    answer = talk(
        server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 200") == 2


@pytest.mark.slow
def test_a_body_that_does_not_arrive_is_408(shop, server):
    head = f"POST {shop.worker_path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nFriendlyName="
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(head.encode())
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    top, body = received.split(b"\r\n\r\n", 1)
    assert top.startswith(b"HTTP/1.1 408 ")
    assert (json.loads(body)["code"], json.loads(body)["status"]) == (20408, 408)


@pytest.mark.parametrize("authorization", ["", "Authorization: Basic bm9ib2R5Om5vdGhpbmc=\r\n"])
def test_whoever_has_no_credentials_cannot_make_the_server_hold_bodies(own_server, authorization):
    """Sixty connections that have sent almost all of two megabytes."""
    server = own_server
    size = 2 << 20
    head = f"POST /v1/Workspaces HTTP/1.1\r\nHost: x\r\n{authorization}Content-Type: application/x-www-form-urlencoded\r\n"
    address = urlsplit(server.url)
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=60))
            for _ in range(60)
        ]
        before = server.resident_bytes()
        for connection in connections:
            connection.sendall(f"{head}Content-Length: {size}\r\n\r\nFriendlyName=".encode() + b"x" * (size - 100))
        grown = server.resident_bytes() - before
        for connection in connections:
            connection.sendall(b"x" * (100 - len(b"FriendlyName=")))
            assert connection.recv(12) == b"HTTP/1.1 401"
    assert grown < 60 * size // 2, f"{grown / 1e6:.0f} MB for {60 * size / 1e6:.0f} MB of bodies"


def test_nonsense_on_the_wire_does_not_hurt_others(shop, server, wire):
    for nonsense in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET\r\n\r\n",
        b"G" * 100_000 + b"\r\n\r\n",
        b"\r\n" * 100 + b"X\r\n\r\n",
    ):
        with contextlib.suppress(OSError):
            talk(server, nonsense, hang_up=True)
        assert wire("GET", shop.worker_path).status_code == 200
