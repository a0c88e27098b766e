#include "api/job_board.hpp"

#include <new>

#include "bridge/database.hpp"
#include "bridge/shared_memory.hpp"
#include "bridge/worker.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

void initialize(void* memory) { ::new (memory) core::JobBoard; }

constinit SharedMemory board_memory{"claude_gpt jobs", [] { return sizeof(core::JobBoard); }, initialize};

}  // namespace

void reserve_job_board() { board_memory.reserve(); }

core::JobBoard* job_board() { return static_cast<core::JobBoard*>(board_memory.address()); }

void look_at_jobs_after_commit() {
  if (job_board() == nullptr) return;
  worker::at_commit([] {
    core::JobBoard& board = *job_board();
    board.forget_looks(current_database_id());
    board.request(current_database_id());
    wake_launcher();
  });
}

void wake_launcher() {
  if (const std::int32_t launcher = job_board()->launcher; launcher != 0) worker::wake(launcher - 1);
}

}  // namespace claude_gpt::api
