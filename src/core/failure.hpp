// A refusal by the domain: what the client is told and under which SQLSTATE.
// Thrown as a C++ exception; the entry point turns it into the server's ERROR.
// Wording follows the server's message style: lower case, no final period; detail and hint are sentences.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace claude_gpt::core {

namespace sqlstate {
inline constexpr char k_null_value_not_allowed[] = "22004";
inline constexpr char k_invalid_parameter_value[] = "22023";
inline constexpr char k_numeric_value_out_of_range[] = "22003";
inline constexpr char k_datetime_field_overflow[] = "22008";
inline constexpr char k_no_data_found[] = "P0002";
inline constexpr char k_not_in_prerequisite_state[] = "55000";
inline constexpr char k_object_in_use[] = "55006";
inline constexpr char k_invalid_transaction_termination[] = "2D000";
inline constexpr char k_query_canceled[] = "57014";
inline constexpr char k_crash_shutdown[] = "57P02";
inline constexpr char k_lock_not_available[] = "55P03";
inline constexpr char k_deadlock_detected[] = "40P01";
inline constexpr char k_serialization_failure[] = "40001";
inline constexpr char k_insufficient_privilege[] = "42501";
inline constexpr char k_check_violation[] = "23514";
inline constexpr char k_trigger_protocol_violated[] = "39P01";
// Our own class, where none of the standard's fits.
inline constexpr char k_quota_exceeded[] = "UQ001";
inline constexpr char k_rate_limited[] = "UQ002";
inline constexpr char k_model_not_in_plan[] = "UQ003";
inline constexpr char k_maintenance[] = "UQ004";
inline constexpr char k_capacity[] = "UQ005";
inline constexpr char k_idempotency_conflict[] = "UQ006";
inline constexpr char k_too_many_turns[] = "UQ007";
inline constexpr char k_price_unknown[] = "UQ009";
inline constexpr char k_internal_error[] = "XX000";
}  // namespace sqlstate

class Failure : public std::exception {
 public:
  Failure(std::string code, std::string message, std::string detail = {}, std::string hint = {})
      : code_(std::move(code)), message_(std::move(message)), detail_(std::move(detail)), hint_(std::move(hint)) {}

  const char* code() const noexcept { return code_.c_str(); }
  const std::string& message() const noexcept { return message_; }
  const std::string& detail() const noexcept { return detail_; }
  const std::string& hint() const noexcept { return hint_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string code_;
  std::string message_;
  std::string detail_;
  std::string hint_;
};

}  // namespace claude_gpt::core
