"""python3 examples/flows/workers/parcels.py [URL]: the `measures` of examples/flows/parcels.yaml."""
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "sdk" / "python"))
from dougong import StepError, Worker  # noqa: E402

worker = Worker(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080",
                on_event=lambda kind, detail: print(kind, detail, file=sys.stderr))


@worker.step("measures")
def volume(arguments):
    sizes = arguments["sizes_cm"]
    if len(sizes) != 3:
        raise StepError("invalid_argument", f"a parcel has three sizes, this one {len(sizes)}")
    return {"litres": sizes[0] * sizes[1] * sizes[2] / 1000}


for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: worker.stop())
print(f"{worker.name} works", flush=True)
worker.run()
