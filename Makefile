# claude_gpt: the build that installs, packages and CI use. PGXS; PG_CONFIG chooses the server.
EXTENSION = claude_gpt
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" claude_gpt.control)
MODULE_big = claude_gpt

# Rows of which code, first rows of tables and lists in docs are made.
REGISTERS = $(sort $(wildcard src/core/*.def)) tools/read-register
GENERATED = src/store/migrations.inc src/api/signatures.inc
SOURCES = $(sort $(wildcard src/*.cpp src/*/*.cpp))
OBJS = $(SOURCES:.cpp=.o)

VERSIONED_SCRIPT = sql/claude_gpt--$(EXTVERSION).sql
FUNCTION_SCRIPTS = $(sort $(wildcard sql/internal/*.sql)) $(sort $(wildcard sql/functions/*.sql))
MIGRATION_SCRIPTS = $(sort $(wildcard sql/migrations/*.sql))
# sql/updates/A--B.sql: what is written by hand for the step from one release to the next.
UPDATE_SCRIPTS = $(patsubst sql/updates/%,sql/claude_gpt--%,$(sort $(wildcard sql/updates/*--$(EXTVERSION).sql)))
DATA_built = $(VERSIONED_SCRIPT) $(UPDATE_SCRIPTS)

REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PG_CONFIG ?= pg_config
PG_CPPFLAGS = -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server)
PG_CXXFLAGS = -std=c++20 -Wall -Wextra -Werror -fvisibility=hidden
SHLIB_LINK = -lstdc++ -Wl,--version-script=src/exports.map
EXTRA_CLEAN = $(DATA_built) $(GENERATED) build results output_iso tmp_check regression.diffs regression.out $(OBJS:.o=.d)

# The bitcode rules of PGXS do not know C++20.
override with_llvm := no
# PGXS names install(1) so; here it is the user's consent to install packages through sudo.
CONSENT := $(INSTALL)

# These look for a server themselves, and some install it first: on a new machine there is no pg_config to ask yet.
WITHOUT_PGXS = test test-quick demo demo-stop demo-clean bench docs dist format format-check tidy
ifneq ($(filter-out $(WITHOUT_PGXS),$(or $(MAKECMDGOALS),all)),)
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error "$(PG_CONFIG)" does not run. Debian: tools/install-packages build installs it; elsewhere name that of your server, PG_CONFIG=...)
endif
include $(PGXS)

all: layers

# src/core knows no server, and src/bridge alone calls it. Looked at once for each build, not again when it is installed.
LAYERS_CHECKED = build/layers-checked
.PHONY: layers
layers: $(LAYERS_CHECKED)
$(LAYERS_CHECKED): $(OBJS) $(MODULE_big).so $(wildcard src/*/*.hpp) tools/check-layers
	@tools/check-layers $(PG_CONFIG)
	@mkdir -p $(@D) && touch $@

$(VERSIONED_SCRIPT): $(FUNCTION_SCRIPTS) sql/rights.sql tools/generate-install-script tools/generate-levels $(REGISTERS)
	tools/generate-install-script $(FUNCTION_SCRIPTS) > $@
$(UPDATE_SCRIPTS): sql/claude_gpt--%.sql: sql/updates/%.sql $(wildcard sql/updates/*.end.sql) $(FUNCTION_SCRIPTS) sql/rights.sql tools/generate-update-script tools/generate-levels $(REGISTERS)
	tools/generate-update-script $< $(FUNCTION_SCRIPTS) > $@

src/store/migrations.inc: $(MIGRATION_SCRIPTS) sql/attach.sql $(wildcard sql/from_0.4.0/*.sql) claude_gpt.control tools/generate-migrations $(REGISTERS)
	tools/generate-migrations $(MIGRATION_SCRIPTS) > $@
src/store/migrations.o: src/store/migrations.inc

# Written where it changes alone: all of src/api is made from it.
src/api/signatures.inc: $(FUNCTION_SCRIPTS) tools/generate-signatures
	@tools/generate-signatures $(FUNCTION_SCRIPTS) > $@.part
	@if cmp -s $@.part $@; then rm $@.part; else mv $@.part $@; fi
$(patsubst %.cpp,%.o,$(wildcard src/api/*.cpp)): | src/api/signatures.inc

# What the functions of a database are compared with.
src/bridge/extension.o: override CPPFLAGS += -DCLAUDE_GPT_VERSION='"$(EXTVERSION)"'
src/bridge/extension.o: claude_gpt.control

# Headers: each object remembers what it was made from.
%.o: %.cpp
	$(CXX) $(CXXFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<
-include $(OBJS:.o=.d)
endif

.PHONY: test test-quick demo demo-stop demo-clean bench docs dist format format-check tidy
test:
	@INSTALL='$(CONSENT)' AGAIN='make $@' tools/test
test-quick:
	@INSTALL='$(CONSENT)' AGAIN='make $@' QUICK=1 tools/test
demo:
	@INSTALL='$(CONSENT)' AGAIN='make $@' tools/demo
demo-stop:
	@tools/private-server stop .demo
demo-clean:
	@tools/demo clean
bench:
	@INSTALL='$(CONSENT)' AGAIN='make $@' bench/run
docs:
	@tools/generate-reference
format:
	@INSTALL='$(CONSENT)' tools/lint format
format-check:
	@INSTALL='$(CONSENT)' tools/lint formatted
tidy:
	@INSTALL='$(CONSENT)' tools/lint tidy

# The last commit as a distribution for PGXN: tracked files alone, the same bytes each time. HEAD has the version too.
dist:
	@[ -z "$$(git rev-parse --show-prefix)" ] && git cat-file -e HEAD:claude_gpt.control || \
		{ echo "make dist: this is not the top of a git checkout with a commit" >&2; exit 1; }
	@git status --porcelain -- . ':!claude_gpt-*.zip' | sed 's/^/make dist: not committed, so left out: /' >&2
	@version=$$(git show HEAD:claude_gpt.control | sed -n "s/^default_version *= *'\(.*\)'/\1/p") && \
		TZ=UTC git archive --format=zip --prefix="claude_gpt-$$version/" --output="claude_gpt-$$version.zip" HEAD && \
		echo "made claude_gpt-$$version.zip of commit $$(git rev-parse --short HEAD)"
