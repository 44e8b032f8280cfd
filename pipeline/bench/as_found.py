"""Stock Brevitas as a user finds it, for `pipeline.bench.training`: prints frames per second."""

import sys

from pipeline.bench.training import BATCH_AS_FOUND, stock, training_rate
from pipeline.core.config import Network

if __name__ == "__main__":
    print(training_rate(stock, Network(), BATCH_AS_FOUND, int(sys.argv[1])))
