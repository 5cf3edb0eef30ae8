"""What a figure was measured on, as its result file says."""
import os
import platform
from pathlib import Path


def machine():
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    return {"machine": f"{os.cpu_count()} cores {cpu}", "load": os.getloadavg()[0]}
