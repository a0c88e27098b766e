#include "bridge/entry.hpp"

#include <cstdio>
#include <new>

#include "bridge/extension.hpp"
#include "bridge/guard.hpp"

namespace claude_gpt::bridge {

static_assert(std::is_same_v<Datum, ::Datum>, "SQL values are passed on as they are");
static_assert(sizeof(FunctionRecord) == sizeof(Pg_finfo_record), "the server reads the record by its own type");

namespace {

// A refusal, copied out of the exception so that it can be raised after the handler.
struct Refusal {
  char code[6];
  char message[1024];
  char detail[1024];
  char hint[512];
};

template <std::size_t size> void copy_text(char (&target)[size], const char* text) {
  // Cut at a character boundary: the message may quote what the client sent.
  const int length = static_cast<int>(strlen(text));
  const int kept = length < static_cast<int>(size) ? length : pg_mbcliplen(text, length, static_cast<int>(size) - 1);
  memcpy(target, text, static_cast<std::size_t>(kept));
  target[kept] = '\0';
}

void copy_refusal(Refusal& refusal, const char* code, const char* message, const char* detail, const char* hint) {
  copy_text(refusal.code, code);
  copy_text(refusal.message, message);
  copy_text(refusal.detail, detail);
  copy_text(refusal.hint, hint);
}

[[noreturn]] void raise(const Refusal& refusal) {
  const char* code = refusal.code;
  ereport(ERROR,
          (errcode(MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4])), errmsg_internal("%s", refusal.message),
           refusal.detail[0] != '\0' ? errdetail_internal("%s", refusal.detail) : 0,
           refusal.hint[0] != '\0' ? errhint("%s", refusal.hint) : 0));
  pg_unreachable();
}

}  // namespace

Datum enter(FunctionCallInfoBaseData* info, Body body) {
  ErrorData* server_error = nullptr;
  Refusal refusal;
  const MemoryContext outer_error_memory = error_context_memory;
  error_context_memory = CurrentMemoryContext;
  try {
    if (!extension::version_is_verified) [[unlikely]]
      extension::require_version();
    Call call{info};
    const Value result = body(call);
    error_context_memory = outer_error_memory;
    info->isnull = result.is_null;
    return result.datum;
  } catch (const ServerError& caught) {
    server_error = caught.error();
  } catch (const core::Failure& caught) {
    copy_refusal(refusal, caught.code(), caught.message().c_str(), caught.detail().c_str(), caught.hint().c_str());
  } catch (const std::bad_alloc&) {
    copy_refusal(refusal, "53200", "out of memory", "", "");
  } catch (const std::exception& caught) {
    copy_refusal(refusal, core::sqlstate::k_internal_error, caught.what(), "", "");
  } catch (...) {
    copy_refusal(refusal, core::sqlstate::k_internal_error, "unexpected C++ exception", "", "");
  }
  error_context_memory = outer_error_memory;
  if (server_error != nullptr) ReThrowError(server_error);
  raise(refusal);
}

bool Call::is_null(int index) const { return info_->args[index].isnull; }

Datum Call::datum(int index) const { return info_->args[index].value; }

int Call::argument_count() const { return info_->nargs; }

std::optional<std::string> Call::canonical_text(int index) const {
  if (is_null(index)) return std::nullopt;
  FunctionCallInfo info = info_;
  const Oid type = guarded([=] {
    Oid* types = nullptr;
    int count = 0;
    get_func_signature(info->flinfo->fn_oid, &types, &count);
    return types[index];
  });
  if (type == NUMERICOID) return value_as<core::Amount>(datum(index)).to_text();
  if (type == INTERVALOID) return std::to_string(value_as<core::Duration>(datum(index)).microseconds);
  return guarded([=] {
    Oid output = InvalidOid;
    bool is_varlena = false;
    getTypeOutputInfo(type, &output, &is_varlena);
    return OidOutputFunctionCall(output, info->args[index].value);
  });
}

void Call::throw_null(const char* parameter) {
  throw core::Failure(core::sqlstate::k_null_value_not_allowed, std::string(parameter) + " must not be null");
}

}  // namespace claude_gpt::bridge
