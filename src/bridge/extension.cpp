#include "bridge/extension.hpp"

#include "bridge/guard.hpp"
#include "bridge/names.hpp"
#include "bridge/rights.hpp"

extern "C" {
#include <access/genam.h>
#include <access/table.h>
#include <catalog/pg_extension.h>
#include <catalog/pg_namespace_d.h>
#include <storage/lmgr.h>
#include <utils/fmgroids.h>
}

// By the build, from claude_gpt.control.
#ifndef CLAUDE_GPT_VERSION
#error "CLAUDE_GPT_VERSION is not defined"
#endif

namespace claude_gpt::bridge::extension {

namespace {

struct Installed {
  char version[64];  // empty: there is no extension
  bool is_settled;   // no rollback of the current transaction changes it
};

Installed read_installed() {
  Installed installed = {"", true};
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(k_extension));
  Relation extensions = table_open(ExtensionRelationId, AccessShareLock);
  SysScanDesc scan = systable_beginscan(extensions, ExtensionNameIndexId, true, nullptr, 1, &key);
  const HeapTuple tuple = systable_getnext(scan);
  if (HeapTupleIsValid(tuple)) {
    bool is_null = false;
    const Datum version = heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(extensions), &is_null);
    strlcpy(installed.version, TextDatumGetCString(version), sizeof installed.version);
    installed.is_settled = !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
  }
  systable_endscan(scan);
  table_close(extensions, AccessShareLock);
  return installed;
}

// An update replaces functions, also in the middle of a session whose library it does not replace.
void forget_version(Datum, int, std::uint32_t) { version_is_verified = false; }

void watch_functions() {
  static constinit bool is_watching = false;
  if (is_watching) return;
  guarded([] { CacheRegisterSyscacheCallback(PROCOID, forget_version, 0); });
  is_watching = true;
}

bool fits(const Installed& installed) {
  if (installed.version[0] == '\0') return true;
  if (strcmp(installed.version, CLAUDE_GPT_VERSION) != 0) return false;
  watch_functions();
  version_is_verified = installed.is_settled;
  return true;
}

}  // namespace

core::Failure outdated_functions(const char* message) {
  return {core::sqlstate::k_not_in_prerequisite_state, message,
          "Where the library is the older of the two, the server was not restarted since the newer one was installed.",
          "Run ALTER EXTENSION claude_gpt UPDATE."};
}

bool version_fits() { return version_is_verified || fits(guarded(read_installed)); }

void require_version() {
  const Installed installed = guarded(read_installed);
  if (fits(installed)) return;
  const std::string message = std::string("the functions of claude_gpt are of version ") + installed.version +
                              ", the library of version " CLAUDE_GPT_VERSION;
  throw outdated_functions(message.c_str());
}

bool script_is_running() { return creating_extension; }

void lock_schema() {
  guarded([] {
    PreventCommandDuringRecovery("changes of the schema");
    LockDatabaseObject(NamespaceRelationId, get_namespace_oid(k_extension, false), 0, ShareUpdateExclusiveLock);
  });
}

OutsideOfExtension::OutsideOfExtension() : was_creating_(creating_extension) { creating_extension = false; }

// On an error the server resets the flag itself when the command ends; setting it back first does no harm.
OutsideOfExtension::~OutsideOfExtension() { creating_extension = was_creating_; }

}  // namespace claude_gpt::bridge::extension
