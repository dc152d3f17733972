"""Meters over HTTP against servers of our own: what devices answer, and what goes wrong with them."""

import base64
import hashlib
import json
import re

import pytest

from evenwatt.errors import SourceContractError, SourceError, SourceUnavailable
from evenwatt.model import Coverage
from evenwatt.readings.host.digest import DigestLogin
from evenwatt.readings.host.homeassistant import HomeAssistantMeter
from evenwatt.readings.host.jsonmeter import JsonMeter, Place
from evenwatt.readings.host.prometheus import PrometheusMeter
from evenwatt.readings.host.shelly import ShellyMeter
from evenwatt.readings.host.tasmota import TasmotaMeter
from evenwatt.readings.host.web import Login
from loopback_servers import PageServer, talking

DEADLINE = 5.0
GEN1 = {"type": "SHPLG-S", "mac": "5ECF7F1632E8", "auth": False, "fw": "v1.14", "num_meters": 1}
GEN2 = {"id": "shellyplusplugs-abc", "mac": "A8032ABE54DC", "gen": 2, "app": "PlusPlugS", "auth_en": False}
SWITCH = {
    "id": 0,
    "source": "init",
    "output": True,
    "apower": 312.4,
    "voltage": 231.2,
    "current": 1.42,
    "aenergy": {"total": 41_210.5, "by_minute": [5_201.1, 5_190.0, 5_187.2], "minute_ts": 1_790_000_000},
    "temperature": {"tC": 41.2, "tF": 106.2},
}
NO_HANDLER = b'{"code":404,"message":"No handler for this method"}'


@pytest.fixture
def server():
    """A server whose pages a test fills in."""
    with PageServer({}) as running:
        yield running


def page(document, status=200):
    """Return a page of JSON."""
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


def joules(meter):
    """Return the one counter and the power that a meter says."""
    found = meter.measure(DEADLINE)
    return (found.counters[0].energy_joules if found.counters else None), found.power_watts


# --- Shelly ------------------------------------------------------------------------------------------------


def test_a_first_generation_plug_counts_watt_minutes(server):
    """60 Wmin are 3,600 J."""
    server.pages["/shelly"] = page(GEN1)
    meters = [{"power": 98.76, "overpower": 0.0, "is_valid": True, "counters": [98.7], "total": 60}]
    server.pages["/status"] = page({"relays": [{"ison": True}], "meters": meters, "uptime": 9})
    meter = ShellyMeter(server.url)

    assert joules(meter) == (3_600.0, 98.76)
    assert (meter.source, meter.covers, meter.sample_seconds) == ("http", Coverage.WALL, None)


def test_a_first_generation_energy_meter_counts_watt_hours(server):
    """An EM lists `emeters`, in Wh; the second channel is meant."""
    server.pages["/shelly"] = page({**GEN1, "type": "SHEM"})
    channels = [
        {"power": 5.0, "total": 9.0, "is_valid": True},
        {"power": 300.0, "total": 2.0, "is_valid": True},
    ]
    server.pages["/status"] = page({"emeters": channels})

    assert joules(ShellyMeter(server.url, channel=1)) == (7_200.0, 300.0)


def test_a_first_generation_value_that_is_not_valid_is_none(server):
    """The device says itself that it does not measure now."""
    server.pages["/shelly"] = page(GEN1)
    server.pages["/status"] = page({"meters": [{"power": 0.0, "is_valid": False, "total": 5}]})
    with pytest.raises(SourceUnavailable, match="not valid now"):
        ShellyMeter(server.url).measure(DEADLINE)


def test_a_later_plug_counts_watt_hours(server):
    """`aenergy.total` is in Wh: 41,210.5 Wh are 148.3578 MJ; after the first time one request is enough."""
    server.pages["/shelly"] = page(GEN2)
    server.pages["/rpc/Switch.GetStatus?id=0"] = page(SWITCH)
    meter = ShellyMeter(server.url)

    assert joules(meter) == (pytest.approx(148_357_800.0), 312.4)
    meter.measure(DEADLINE)
    assert server.paths()[2:] == ["/rpc/Switch.GetStatus?id=0"]


@pytest.mark.parametrize("status", [404, 500])
def test_a_meter_without_a_relay_is_found(server, status):
    """A PM Mini has no switch; a Pro EM tells its power and its counter apart."""
    server.pages["/shelly"] = page(GEN2)
    server.pages["/rpc/Switch.GetStatus?id=0"] = (status, {}, NO_HANDLER)
    server.pages["/rpc/PM1.GetStatus?id=0"] = page({"id": 0, "apower": 50.0, "aenergy": {"total": 1.0}})

    assert joules(ShellyMeter(server.url)) == (3_600.0, 50.0)


@pytest.mark.parametrize(
    ("kind", "power", "energy"),
    [("EM1", "act_power", "total_act_energy"), ("EM", "total_act_power", "total_act")],
)
def test_an_energy_meter_has_its_counter_apart(server, kind, power, energy):
    """Power comes from one component, the total from its twin with the data."""
    server.pages["/shelly"] = page({**GEN2, "gen": 3})
    server.pages[f"/rpc/{kind}.GetStatus?id=0"] = page({"id": 0, power: 420.0})
    server.pages[f"/rpc/{kind}Data.GetStatus?id=0"] = page({"id": 0, energy: 2.0})

    assert joules(ShellyMeter(server.url)) == (7_200.0, 420.0)


def test_a_relay_without_a_meter_is_told(server):
    """A Shelly 1 switches and measures nothing."""
    server.pages["/shelly"] = page(GEN2)
    server.pages["/rpc/Switch.GetStatus?id=0"] = page({"id": 0, "output": True})
    with pytest.raises(SourceContractError, match="a relay without a meter"):
        ShellyMeter(server.url).measure(DEADLINE)


CHALLENGE = 'Digest qop="auth", realm="shellyplusplugs-abc", nonce="1790000000", algorithm=SHA-256'


def is_right_digest(request, password, nonce="1790000000"):
    """Return whether a request answers the challenge, worked out by the RFC's formula."""
    line = next((x for x in request.splitlines() if x.startswith("Authorization: Digest ")), "")
    said = dict(re.findall(r'(\w+)="?([^",]*)"?', line))
    if said.get("nonce") != nonce:
        return False

    def digest(*parts):
        return hashlib.sha256(":".join(parts).encode()).hexdigest()

    secret = digest("admin", "shellyplusplugs-abc", password)
    asked = digest("GET", request.split()[1])
    return said["response"] == digest(secret, nonce, said["nc"], said["cnonce"], "auth", asked)


def locked_shelly(server, password):
    """Let the server behave as a plug with a password."""
    path = "/rpc/Switch.GetStatus?id=0"
    server.pages["/shelly"] = page(GEN2)

    def answer():
        is_right = is_right_digest(server.requests[-1], password)
        server.pages[path] = page(SWITCH) if is_right else (401, {"WWW-Authenticate": CHALLENGE}, b"")

    server.before_answer = answer


def test_a_later_plug_with_a_password_is_answered(server):
    """The digest of the challenge is sent, with a new count each time; the challenge is asked for once."""
    locked_shelly(server, "p:ss wörd")
    meter = ShellyMeter(server.url, login=Login(user="admin", password="p:ss wörd"))

    assert [joules(meter)[1], joules(meter)[1]] == [312.4, 312.4]
    assert len(server.requests) == 4
    assert "nc=00000002" in server.requests[-1]
    assert not any("Basic" in request or "wörd" in request for request in server.requests)


@pytest.mark.parametrize("login", [None, Login(user="admin", password="wrong")])
def test_a_missing_or_wrong_password_is_told(server, login):
    """What to set is said; the device is not asked again and again, which would lock it."""
    locked_shelly(server, "right")
    with pytest.raises(SourceContractError, match=r"set host_power\.user \(admin on a Shelly\) and password"):
        ShellyMeter(server.url, login=login).measure(DEADLINE)

    assert len(server.requests) <= 3


@pytest.mark.parametrize(
    "challenge", ['Basic realm="x"', "Digest realm=x", "", 'Digest qop="auth", nonce="1"']
)
def test_another_challenge_is_not_answered(challenge):
    """Only what is understood whole is answered."""
    login = DigestLogin("admin", "secret")

    assert not login.take(challenge)
    assert login.header("/") == {}


def test_a_password_is_sent_and_never_shown(server):
    """Basic authentication of a first-generation device; its address shows neither user nor password."""
    server.pages["/shelly"] = page(GEN1)
    meter = ShellyMeter(server.url, login=Login(user="ad:min", password="p@ss/word"))
    with pytest.raises(SourceContractError) as error:
        meter.measure(DEADLINE)

    sent = base64.b64encode(b"ad:min:p@ss/word").decode()
    assert "Authorization" not in server.requests[0]
    assert f"Authorization: Basic {sent}" in server.requests[1]
    assert "p@ss" not in str(error.value) + meter.address


def test_something_else_is_no_shelly(server):
    """Another device at the address is told, not guessed at."""
    server.pages["/shelly"] = page({"hello": "world"})
    with pytest.raises(SourceContractError, match="does not say that it is a Shelly"):
        ShellyMeter(server.url).measure(DEADLINE)


# --- Tasmota -----------------------------------------------------------------------------------------------

ENERGY = {"TotalStartTime": "2025-01-01T00:00:00", "Total": 1.5, "Power": 87, "Factor": 0.94, "Voltage": 230}


def sensors(energy):
    """Return what `Status 10` answers."""
    return page({"StatusSNS": {"Time": "2026-11-25T10:00:00", "ENERGY": energy}})


def test_tasmota_counts_kilowatt_hours(server):
    """1.5 kWh are 5.4 MJ."""
    server.pages["/cm?cmnd=Status%2010"] = sensors(ENERGY)

    assert joules(TasmotaMeter(server.url)) == (5_400_000.0, 87.0)


def test_old_firmware_answers_another_command(server):
    """Where `Status 10` has no sensor, `Status 8` may."""
    server.pages["/cm?cmnd=Status%2010"] = page({"StatusSNS": {"Time": "2026-11-25T10:00:00"}})
    server.pages["/cm?cmnd=Status%208"] = sensors(ENERGY)
    meter = TasmotaMeter(server.url)
    meter.measure(DEADLINE)
    meter.measure(DEADLINE)

    assert server.paths()[-1] == "/cm?cmnd=Status%208"
    assert len(server.paths()) == 3


@pytest.mark.parametrize(("channel", "expected"), [(None, (3_600_000.0, 300.0)), (1, (2_160_000.0, 200.0))])
def test_channels_add_up_or_one_is_meant(server, channel, expected):
    """A device with two sockets says lists."""
    server.pages["/cm?cmnd=Status%2010"] = sensors({"Power": [100, 200], "Total": [0.4, 0.6]})

    assert joules(TasmotaMeter(server.url, channel=channel)) == expected


def test_the_web_password_goes_into_the_query(server):
    """Tasmota wants it there; without it there is a sentence, and the password is never shown."""
    server.pages["/cm?cmnd=Status%2010"] = page({"WARNING": "Need user=<username>&password=<password>"})
    with pytest.raises(SourceContractError, match=r"set host_power\.password"):
        TasmotaMeter(server.url).measure(DEADLINE)
    server.pages["/cm?user=admin&password=a%26b&cmnd=Status%2010"] = sensors(ENERGY)
    meter = TasmotaMeter(server.url, login=Login(password="a&b"))

    assert joules(meter)[1] == 87.0
    assert "a&b" not in meter.address


def test_a_device_without_a_sensor_is_told(server):
    """A bare relay has no energy sensor; neither has one that tells neither power nor total."""
    for command in ("10", "8"):
        server.pages[f"/cm?cmnd=Status%20{command}"] = page({"StatusSNS": {}})
    with pytest.raises(SourceContractError, match="tells of no energy sensor"):
        TasmotaMeter(server.url).measure(DEADLINE)
    server.pages["/cm?cmnd=Status%2010"] = sensors({"Voltage": 230})
    with pytest.raises(SourceContractError, match="neither Power nor Total"):
        TasmotaMeter(server.url).measure(DEADLINE)


# --- Home Assistant ----------------------------------------------------------------------------------------


def home(server, state, unit, **login):
    """Return the meter of an entity that has this state."""
    attributes = {} if unit is None else {"unit_of_measurement": unit}
    server.pages["/api/states/sensor.server"] = page(
        {"entity_id": "sensor.server", "state": state, "attributes": attributes}
    )
    return HomeAssistantMeter(server.url, entity="sensor.server", login=Login(token="secret", **login))


@pytest.mark.parametrize(
    ("state", "unit", "expected"),
    [
        ("350.5", "W", (None, 350.5)),
        ("0.35", "kW", (None, 350.0)),
        ("1500", "Wh", (5_400_000.0, None)),
        ("1.5", "kWh", (5_400_000.0, None)),
        ("0.001", "MWh", (3_600_000.0, None)),
    ],
)
def test_the_unit_says_what_an_entity_is(server, state, unit, expected):
    """Power or a counter of energy, in whatever unit."""
    meter = home(server, state, unit)

    assert joules(meter) == tuple(None if value is None else pytest.approx(value) for value in expected)
    assert "Authorization: Bearer secret" in server.requests[0]
    assert meter.sample_seconds == (5.0 if expected[0] is None else None)


@pytest.mark.parametrize(
    ("state", "unit", "kind", "words"),
    [
        ("unavailable", "W", SourceUnavailable, "is 'unavailable'"),
        ("unknown", "kWh", SourceUnavailable, "is 'unknown'"),
        ("on", "W", SourceContractError, "says 'on', expected a number"),
        ("nan", "W", SourceContractError, "says 'nan', expected a number"),
        ("21.5", "°C", SourceContractError, "is in '°C', expected one of J, kJ"),
        ("350", None, SourceContractError, "has no unit_of_measurement"),
        ("350", "kW", SourceContractError, "says 350,000 W, expected at most 20,000"),
        ("-80", "W", SourceContractError, "power flows back"),
        ("-2", "kWh", SourceContractError, "is never negative"),
    ],
)
def test_what_no_meter_says_is_told(server, state, unit, kind, words):
    """A sensor that is away, no number, another unit, watts taken for kilowatts, a feed-in."""
    with pytest.raises(kind, match=words):
        home(server, state, unit).measure(DEADLINE)


def test_a_refused_token_names_the_key_to_mend(server):
    """401 says which setting is wrong, and never the token."""
    server.pages["/api/states/sensor.server"] = (401, {}, b"401: Unauthorized")
    meter = HomeAssistantMeter(server.url, entity="sensor.server", login=Login(token="secret"))
    with pytest.raises(SourceContractError, match=r"host_power\.user and password, or token") as error:
        meter.measure(DEADLINE)

    assert "secret" not in str(error.value)


# --- JSON and Prometheus -----------------------------------------------------------------------------------


def test_any_document_by_its_paths(server):
    """A PDU with a list of outlets, its counter in kWh and its power in kW as text."""
    document = {"outlets": [{}, {"energy": {"kwh": 2}, "kw": "0.25"}]}
    server.pages["/api?x=1"] = page(document)
    meter = JsonMeter(
        f"{server.url}/api?x=1",
        power=Place(path="outlets[1].kw", unit="kW"),
        energy=Place(path="outlets[1].energy.kwh", unit="kWh"),
    )

    assert joules(meter) == (7_200_000.0, 250.0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "is no JSON"),
        (b'{"power": null}', "says None, expected a number"),
        (b'{"power": true}', "says True, expected a number"),
        (b'{"other": 1}', "has nothing at power"),
        (b"[" * 100_000, "is no JSON"),
    ],
)
def test_another_document_is_told(server, body, words):
    """A page that is no JSON, or has something else at the path."""
    server.pages["/"] = (200, {}, body)
    server.pages[""] = server.pages["/"]
    with pytest.raises(SourceContractError, match=words):
        JsonMeter(server.url, power=Place(path="power", unit="W"), energy=None).measure(DEADLINE)


def prometheus(server, unit="W", **data):
    """Return the meter of a query that has this result."""
    server.pages["/api/v1/query?query=pdu%7Bx%3D%221%22%7D"] = page({"status": "success", "data": data})
    return PrometheusMeter(server.url, query='pdu{x="1"}', unit=unit)


def series(*values):
    """Return an instant vector."""
    return [{"metric": {"n": str(n)}, "value": [1_790_000_000.1, v]} for n, v in enumerate(values)]


@pytest.mark.parametrize(
    ("unit", "data", "expected"),
    [
        ("W", {"resultType": "vector", "result": series("310.5")}, (None, 310.5)),
        ("kWh", {"resultType": "vector", "result": series("2")}, (7_200_000.0, None)),
        ("J", {"resultType": "scalar", "result": [1_790_000_000, "500"]}, (500.0, None)),
    ],
)
def test_a_query_gives_power_or_energy(server, unit, data, expected):
    """As its unit says; a vector of one, or a scalar."""
    meter = prometheus(server, unit, **data)

    assert joules(meter) == expected
    assert meter.source == "prometheus"


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        ({"resultType": "vector", "result": []}, SourceUnavailable, "has no series for the query now"),
        ({"resultType": "vector", "result": series("1", "2")}, SourceContractError, "with 2 series"),
        ({"resultType": "matrix", "result": []}, SourceContractError, "with a matrix"),
        ({"resultType": "vector", "result": series("NaN")}, SourceContractError, "expected a number"),
        ({"resultType": "vector", "result": series("+Inf")}, SourceContractError, "expected a number"),
    ],
)
def test_a_query_with_another_answer_is_told(server, data, kind, words):
    """No series, several, a range, or no number."""
    with pytest.raises(kind, match=words):
        prometheus(server, **data).measure(DEADLINE)


# --- what no meter says ------------------------------------------------------------------------------------

NONSENSE = [
    b"NaN",
    b"-Infinity",
    b"1e308",
    b"9" * 400,
    b'"\\ud800"',
    b'"\\u001b[31m"',
    b'"' + b"x" * 10_000 + b'"',
    b"null",
    b"true",
    b"[]",
    b"[[1]]",
    b"{}",
]


def meters_saying(url, value):
    """Return meters of all kinds, each with the pages on which it says a value where a number should be."""
    gen1, gen2 = json.dumps(GEN1).encode(), json.dumps(GEN2).encode()
    answers = b'{"data": {"resultType": "vector", "result": [{"value": [0, %b]}]}}'
    switch, tasmota = "/rpc/Switch.GetStatus?id=0", "/cm?cmnd=Status%2010"
    query = PrometheusMeter(url, query="a", unit="kWh")
    yield ShellyMeter(url), {"/shelly": gen2, switch: value}
    yield ShellyMeter(url), {"/shelly": gen2, switch: b'{"apower": %b, "aenergy": {"total": 1}}' % value}
    yield ShellyMeter(url), {"/shelly": gen2, switch: b'{"apower": 1, "aenergy": {"total": %b}}' % value}
    yield ShellyMeter(url), {"/shelly": gen2, switch: b'{"apower": 1, "aenergy": %b}' % value}
    yield ShellyMeter(url), {"/shelly": gen1, "/status": value}
    yield ShellyMeter(url), {"/shelly": gen1, "/status": b'{"meters": %b}' % value}
    yield ShellyMeter(url), {"/shelly": gen1, "/status": b'{"meters": [%b]}' % value}
    yield ShellyMeter(url), {"/shelly": gen1, "/status": b'{"meters": [{"power": %b}]}' % value}
    yield ShellyMeter(url), {"/shelly": value}
    yield TasmotaMeter(url), {tasmota: b'{"StatusSNS": %b}' % value}
    yield TasmotaMeter(url), {tasmota: b'{"StatusSNS": {"ENERGY": {"Total": %b, "Power": "x"}}}' % value}
    yield HomeAssistantMeter(url, entity="a"), {"/api/states/a": value}
    yield (
        HomeAssistantMeter(url, entity="a"),
        {"/api/states/a": b'{"state": %b, "attributes": {"unit_of_measurement": "kWh"}}' % value},
    )
    yield (
        HomeAssistantMeter(url, entity="a"),
        {"/api/states/a": b'{"state": 1, "attributes": {"unit_of_measurement": %b}}' % value},
    )
    yield JsonMeter(url, power=None, energy=Place(path="e", unit="MWh")), {"": b'{"e": %b}' % value}
    yield query, {"/api/v1/query?query=a": answers % value}
    yield query, {"/api/v1/query?query=a": b'{"data": {"resultType": "vector", "result": %b}}' % value}
    yield query, {"/api/v1/query?query=a": b'{"data": {"resultType": %b, "result": []}}' % value}


@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: value[:12].decode())
def test_nonsense_is_refused_in_words(server, value):
    """Whatever stands where a number should be is told in one short line, by each kind of meter."""
    for meter, pages in meters_saying(server.url, value):
        server.pages = {path or "/": (200, {}, body) for path, body in pages.items()}
        with pytest.raises(SourceError) as error:
            meter.measure(DEADLINE)

        assert str(error.value).isprintable()
        assert len(str(error.value)) < 600
        meter.close()


# --- servers that fail -------------------------------------------------------------------------------------


def test_a_meter_that_is_gone_is_down():
    """Nothing listens there any more."""
    with PageServer({}) as gone:
        url = gone.url
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        TasmotaMeter(url).measure(DEADLINE)


def test_a_meter_that_does_not_answer_costs_no_more_than_its_deadline():
    """A plug that hangs is down once its time is over."""
    with talking(lambda connection: connection.recv(1)) as url, pytest.raises(SourceUnavailable):
        ShellyMeter(url).measure(0.3)


def test_a_meter_that_restarts_answers_again(server):
    """503 while it boots is a passing fault."""
    server.pages["/cm?cmnd=Status%2010"] = (503, {}, b"")
    meter = TasmotaMeter(server.url)
    with pytest.raises(SourceUnavailable):
        meter.measure(DEADLINE)
    server.pages["/cm?cmnd=Status%2010"] = sensors(ENERGY)

    assert joules(meter)[1] == 87.0
    meter.close()
