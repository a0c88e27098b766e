// An ERROR of the server on its way through C++ frames, whole: SQLSTATE, detail, hint, context, position.
#pragma once

#include <exception>
#include <string>

struct ErrorData;

namespace claude_gpt::bridge {

class ServerError : public std::exception {
 public:
  explicit ServerError(ErrorData* error) noexcept : error_(error) {}
  ErrorData* error() const noexcept { return error_; }  // borrowed: lives until the entry point returns
  const char* what() const noexcept override;           // its message
  std::string sqlstate() const;

 private:
  ErrorData* error_;
};

}  // namespace claude_gpt::bridge
