"""The driver's state machine: what is sent when, and what becomes of failures."""

from argot.agent.wire import Usage
from argot.devices.schema import Tensor
from argot.errors import FunctionFailed, InputError, PartyError, PartyLost, PermissionRefused, TraceError
from argot.graph.execute import Execution
from argot.graph.graph import Call, Lowered
from argot.graph.node import DeviceSpec

ALICE, BOB = DeviceSpec("plain", "alice", ("alice",)), DeviceSpec("plain", "bob", ("bob",))
MPC = DeviceSpec("mpc", "mpc", ("alice", "bob", "carol"), "aby3", 64, 18)
USAGE = Usage()


class Input:
    def __init__(self, product, path=()):
        from argot.graph.graph import Ref

        self.ref = Ref(product, path)


class Driver:
    def __init__(self):
        self.run = Execution(bytes(16))

    def call(self, device, *inputs, op="call", lower=None, **more):
        lower = lower or (lambda refs: Lowered(b"body"))
        needs = device is MPC
        owner = "mpc" if device is MPC else device.name
        call = Call(device, op, "f", lower, [Input(i) for i in inputs], owners=[owner], needs_schemas=needs, **more)
        record = call.record(len(self.run.graph), "job.py:1")
        self.run.register(record)
        self.run.consider(record)
        return record

    def sent(self):
        return [node.number for node in self.run.take()]

    def done(self, record, party, schema=None):
        schemas = {record.products[0].object: schema} if schema else {}
        self.run.done(record.number, party, schemas, USAGE, {})


def test_a_call_waits_for_schemas_and_holds_nobody_up():
    d = Driver()
    a, b = d.call(ALICE), d.call(BOB)
    waiting = d.call(MPC, a.products[0], op="run")
    other = d.call(MPC, b.products[0], op="run")
    assert d.sent() == [0, 1] and waiting.state == "pending"
    d.done(b, "bob", Tensor("float64", (2,)))
    assert d.sent() == [3]
    d.done(a, "alice", Tensor("float64", (2,)))
    assert d.sent() == [2]
    assert (other.node.sequence, waiting.node.sequence) == (0, 1)
    for party in MPC.parties:
        assert waiting.state == "sent"
        d.done(waiting, party)
    assert waiting.state == "ready"


def test_a_declared_schema_is_enough():
    d = Driver()
    a = d.call(ALICE, schema=Tensor("float64", (2,)))
    d.call(MPC, a.products[0], op="run")
    assert d.sent() == [0, 1]


def test_a_chain_is_sent_as_soon_as_its_first_schema_is_there():
    d = Driver()
    a = d.call(ALICE)
    known = lambda refs: Lowered(b"", Tensor("float64", (2,)), ("secret",))  # noqa: E731
    first = d.call(MPC, a.products[0], op="run", lower=known)
    d.call(MPC, first.products[0], op="run", lower=known)
    assert d.sent() == [0]
    d.done(a, "alice", Tensor("float64", (2,)))
    assert d.sent() == [1, 2]


def test_an_error_in_lowering_belongs_to_the_call_and_what_needs_it():
    def fails(refs):
        raise ZeroDivisionError("by zero")

    def refuses(refs):
        raise InputError("text")

    d = Driver()
    a = d.call(ALICE, schema=Tensor("float64"))
    bad = d.call(MPC, a.products[0], op="run", lower=fails)
    after = d.call(MPC, bad.products[0], op="run")
    named = d.call(MPC, a.products[0], op="run", lower=refuses)
    assert isinstance(bad.failure, TraceError) and bad.failure.where == "job.py:1"
    assert isinstance(bad.failure.__cause__, ZeroDivisionError)
    assert after.failure is bad.failure and after.state == "failed"
    assert isinstance(named.failure, InputError) and named.failure.where == "job.py:1"
    assert d.sent() == [0]


def test_the_party_where_it_happened_has_the_last_word():
    d = Driver()
    a = d.call(ALICE, schema=Tensor("float64"))
    record = d.call(MPC, a.products[0], op="run")
    d.run.failed(1, "alice", PartyError("bob stopped", party="bob", reference="1"))
    assert record.state == "sent"
    own = PermissionRefused("bob does not allow it", party="bob", reference="1")
    d.run.failed(1, "bob", own)
    assert record.failure is own
    d.run.failed(1, "carol", PartyError("bob stopped", party="bob"))
    assert record.failure is own and set(record.failed_at) == {"alice", "bob", "carol"}


def test_when_all_have_spoken_it_is_over():
    d = Driver()
    a = d.call(ALICE, schema=Tensor("float64"))
    record = d.call(MPC, a.products[0], op="run")
    for party in MPC.parties[:2]:
        d.run.failed(1, party, PartyError("carol stopped", party="carol"))
    assert record.state == "sent"
    d.run.failed(1, "carol", PartyError("bob stopped", party="bob"))
    assert record.state == "failed"


def test_a_failed_input_is_told_as_it_happened():
    d = Driver()
    a = d.call(ALICE, schema=Tensor("float64"))
    record = d.call(MPC, a.products[0], op="run")
    first = FunctionFailed("load raised ValueError: the reason", party="alice", reference="77")
    d.run.failed(1, "bob", FunctionFailed("load raised ValueError", party="alice", reference="77"))
    d.run.failed(0, "alice", first)
    d.run.failed(1, "alice", FunctionFailed("load raised ValueError", party="alice", reference="77"))
    assert record.failure is first


def test_what_fails_of_an_input_from_outside_waits_for_the_word_of_its_owner():
    """Members may be heard before it, of both nodes."""
    d = Driver()
    outside = DeviceSpec("outside", "mpc+dave", (*MPC.parties, "dave"), "aby3", 64, 18, of="mpc")
    x = d.call(outside, op="share", schema=Tensor("float64", (2,)))
    run = d.call(MPC, x.products[0], op="run", schema=Tensor("float64", (2,)))
    after = d.call(MPC, run.products[0], op="run")
    for party in MPC.parties:
        for record in (x, run, after):
            d.run.failed(record.number, party, PartyError("dave refused its input", party="dave", reference="r1"))
    assert (x.state, run.state, after.state) == ("sent", "sent", "sent")
    d.run.failed(x.number, "dave", InputError("NaN", party="dave", reference="r1"))
    assert [type(record.failure) for record in (x, run, after)] == [InputError] * 3


def test_a_lost_party_ends_what_needs_it():
    d = Driver()
    a = d.call(ALICE, schema=Tensor("float64"))
    b = d.call(BOB)
    record = d.call(MPC, a.products[0], op="run")
    d.run.lost(PartyLost("carol is gone", party="carol"), all_=False)
    assert isinstance(record.failure, PartyLost) and b.state == "sent"
    d.run.lost(PartyLost("carol is gone", party="carol"), all_=True)
    assert isinstance(b.failure, PartyLost)


def test_handles_of_inputs_are_held_until_the_record_has_run():
    d = Driver()
    a = d.call(ALICE)
    b = d.call(ALICE, a.products[0])
    assert len(b.keep) == 1
    d.done(a, "alice", Tensor("float64"))
    d.done(b, "alice", Tensor("float64"))
    assert b.keep == [] and b.state == "ready"


def test_the_hash_of_a_node_does_not_depend_on_what_came_first():
    one, two = Driver(), Driver()
    a, b = one.call(ALICE), two.call(ALICE)
    one.done(a, "alice", Tensor("float64"))
    assert one.call(ALICE, a.products[0]).node.digest() == two.call(ALICE, b.products[0]).node.digest()
    assert one.run.graph.digest() == two.run.graph.digest()
