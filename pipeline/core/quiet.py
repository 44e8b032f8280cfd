"""Libraries report their guesses to their own developers; a user of ours has no use for them."""

import logging
import warnings

_PACKAGES = r"(brevitas|torch|qonnx|finn|onnx|onnxscript|onnxruntime)(\.|$)"
_LOGGERS = ("torch.onnx", "finn_logger", "qonnx", "onnxscript")


def quiet_libraries() -> None:
    """Keep from the console the warnings of the packages that we build on; their errors stay."""
    warnings.filterwarnings("ignore", module=_PACKAGES)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
