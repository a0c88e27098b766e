// What processes share without a lock of the server: std::atomic. The unit tests are built so that before each step on
// one a thread may lose its processor, as a process may between any two.
#pragma once

#include <atomic>

namespace claude_gpt::core {

#ifdef CLAUDE_GPT_INTERLEAVED

void maybe_let_others_run();

template <typename T> class Atomic {
 public:
  constexpr Atomic() noexcept = default;
  constexpr Atomic(T value) noexcept : value_(value) {}  // NOLINT(google-explicit-constructor): as std::atomic

  T load(std::memory_order order = std::memory_order_seq_cst) const { return step().value_.load(order); }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) { step().value_.store(value, order); }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) {
    return step().value_.exchange(value, order);
  }
  template <typename... Orders> bool compare_exchange_strong(T& expected, T desired, Orders... orders) {
    return step().value_.compare_exchange_strong(expected, desired, orders...);
  }
  template <typename... Orders> bool compare_exchange_weak(T& expected, T desired, Orders... orders) {
    return step().value_.compare_exchange_weak(expected, desired, orders...);
  }
  T fetch_add(T count, std::memory_order order = std::memory_order_seq_cst) {
    return step().value_.fetch_add(count, order);
  }
  T operator++() { return fetch_add(1) + 1; }
  T operator--() { return step().value_.fetch_sub(1) - 1; }
  T operator=(T value) {
    store(value);
    return value;
  }
  operator T() const { return load(); }  // NOLINT(google-explicit-constructor): as std::atomic

 private:
  Atomic& step() {
    maybe_let_others_run();
    return *this;
  }
  const Atomic& step() const {
    maybe_let_others_run();
    return *this;
  }
  std::atomic<T> value_;
};
static_assert(sizeof(Atomic<long>) == sizeof(std::atomic<long>));

#else

template <typename T> using Atomic = std::atomic<T>;

#endif

}  // namespace claude_gpt::core
