"""The line that the agent logs once a minute."""

from evenwatt.economics.cost import Costs
from evenwatt.sinks.summary import summary_line
from evenwatt.snapshot import HostView
from sink_fixtures import engine_view, gpu, snapshot


def test_the_summary_is_one_line():
    """Power, engines, cost and windows in one line; what is not known is left out."""
    assert (
        summary_line(snapshot())
        == "1 GPU 100 W  host 10 W  1/1 engines up  3.6360 EUR/h  1h so far 0.0379 EUR/Mtok"
    )
    unknown = snapshot(
        {},
        gpus=(gpu(power_watts=None),),
        host=HostView(),
        engines=(engine_view(up=False),),
        cost_per_hour=Costs(hardware=3.6),
        simulated=True,
    )
    assert summary_line(unknown) == "SIMULATED  0/1 engines up"
