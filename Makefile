## amcflow: from a PyTorch radio-signal classifier to a verified FPGA accelerator.
##
##   make verify-rtlsim      compile the shipped model and compare its RTL with PyTorch, bit by bit
##   make test               every test that CI runs
##   make bench              how fast training is, against stock Brevitas; what a zero saves
##   make scales             what power-of-two scales cost in accuracy
##
## Stages, in the order of the data; each runs what it needs first, and nothing twice:
##   data  train  prune      make a data set; train on it; prune what was trained
##   freeze  export          integer weights and thresholds; the QONNX graph and its cost
##   lower  fold             the hardware graph; its parallelism
##   fifos                   words between operators: 32, or as simulated (SET=hardware.fifos=simulated)
##   codegen                 SystemVerilog and HLS C++
##   verify-cppsim           the C++, compiled, against the integer model, layer by layer
##   verify-rtlsim           Verilator against the integer model, layer by layer
##   verify                  every rung: PyTorch, QONNX, FINN's graph, C++, RTL
##   mutate                  plant faults in every rung, and see that they are found
##   synth                   LUT, FF, DSP, block RAM and logic depth of every layer, by Yosys
##   verify-netlist          what synth made of it, in Verilator, against the integer model
##   place                   the clock of single kernels, placed and routed on a Lattice ECP5
##   vivado-project          a folder that builds the bitstream wherever Vivado is
##   bitstream               build it with Vivado, or take what was built elsewhere (BITSTREAM=)
##   pynq-package            a folder and a zip for the board: bitstream, driver, golden frames
##   emulate                 the same for an emulated board, whose bitstream is the simulated RTL
##
## Also: setup (.venv), status (what is up to date), ship (trained weights -> models/NAME),
##       table (what all recorded runs came to, beside published results; how to run what is missing),
##       plots (of one model's record: build/NAME/plots/index.html),
##       demo (what a user of a board sees, on the emulated one),
##       deploy (the PYNQ package to a board, validated there: HOST=user@board),
##       lint, clean (the model's build folder), help
##
## Variables: MODEL=models/NAME  FRAMES=48  BOARD=pynq_z2  CHECKPOINT=file.pth  QONNX=file.onnx
##            BITSTREAM=folder (with accelerator.bit, .hwh and .json, made elsewhere)  HOST=user@board
##            SET="section.key=value ..."  FORCE=1 (run the stage anyway)  PYTHON=python3.11
##            ARGS="..." (more options of test and scales)
## The keys that SET knows: .venv/bin/python -m pipeline STAGE --help

PYTHON ?= python3.11
MODEL ?= models/vgg10_w4a4_fmp

STAGES := data train prune freeze export lower fold fifos codegen verify-cppsim verify-rtlsim verify \
  mutate synth verify-netlist place vivado-project bitstream pynq-package emulate
COMMANDS := ship table plots demo deploy status clean
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check

comma := ,
quoted = $(if $(2),'$(1)=$(2)')
FRAMES_KEY = verify.frames
SETTINGS = $(strip $(call quoted,$(FRAMES_KEY),$(FRAMES)) $(call quoted,hardware.board,$(BOARD)) \
  $(call quoted,export.checkpoint,$(CHECKPOINT)) $(call quoted,export.qonnx,$(QONNX)) \
  $(call quoted,bitstream.made,$(BITSTREAM)) $(call quoted,deploy.host,$(HOST)) $(SET))
OPTIONS = --model '$(MODEL)' $(if $(SETTINGS),--set $(SETTINGS)) $(if $(FORCE),--force)

# what, where, what to do about it: as the program itself reports errors
define require
	@$(1) || { printf 'error: %s\nwhere: %s\n  try: %s\n' '$(2)' '$(3)' '$(4)' >&2; exit 2; }
endef

# faults are planted in a network that is compiled and simulated in seconds
mutate: MODEL = models/vgg10_tiny
# golden frames
pynq-package emulate demo deploy: FRAMES_KEY = deploy.frames
# networks are compared before any pruning
scales: MODEL = models/vgg10_w4a4

.PHONY: help setup test lint bench scales $(STAGES) $(COMMANDS)
.DEFAULT_GOAL := help

help:
	@sed -n 's/^##[ ]\{0,1\}//p' Makefile

$(STAGES) $(COMMANDS): setup
	@$(VENV)/bin/python -m pipeline $@ $(OPTIONS)

bench: setup
	@$(VENV)/bin/python -m pipeline.bench
	@$(VENV)/bin/python -m pipeline.bench.zeros

scales: setup
	@$(VENV)/bin/python -m pipeline.bench.scales --model '$(MODEL)' $(ARGS)

# one process a core, so one thread a process
test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell

setup: $(VENV)/.installed

$(VENV)/.installed: requirements/runtime.lock requirements/finn.lock pyproject.toml
	$(call require,command -v $(PYTHON) >/dev/null,$(PYTHON) is not installed,PATH,apt install python3.11 python3.11-venv   (or PYTHON=... for another one from 3.11 on))
	$(call require,$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3$(comma) 11))',$(PYTHON) is older than 3.11,PATH,make PYTHON=python3.11 setup)
	$(call require,$(PYTHON) -c 'import ensurepip$(comma) venv' 2>/dev/null,$(PYTHON) cannot make virtual environments,PATH,apt install python3.11-venv)
	$(call require,command -v g++ >/dev/null,g++ is not installed$(comma) and Verilator needs it to build simulations,PATH,apt install g++ make)
	@echo "installing packages into $(VENV): about 2.3 GB, some minutes, once"
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements/runtime.lock
	$(PIP) --no-deps -r requirements/finn.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.lock $(VENV)/.installed
	$(PIP) -r requirements/dev.lock
	@touch $@
