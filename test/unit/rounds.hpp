// Threads that begin each round together: step(thread, round), the threads counted from 0.
#pragma once

#include <barrier>
#include <cstddef>
#include <thread>
#include <vector>

namespace claude_gpt::core {

template <typename Step> void run_rounds(std::size_t thread_count, int rounds, const Step& step) {
  std::barrier meeting{static_cast<std::ptrdiff_t>(thread_count)};
  std::vector<std::jthread> threads;
  for (std::size_t thread = 0; thread < thread_count; ++thread)
    threads.emplace_back([&, thread] {
      for (int round = 0; round < rounds; ++round) {
        meeting.arrive_and_wait();
        step(thread, round);
      }
    });
}

}  // namespace claude_gpt::core
