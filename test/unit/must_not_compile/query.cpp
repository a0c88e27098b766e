// What a statement's signature refuses: compiled once for each CASE, which must end in the compiler's error that
// CMakeLists.txt expects of it; case 0 is sound.
#include <optional>
#include <string_view>

#include "bridge/entry.hpp"
#include "bridge/spi.hpp"

using namespace claude_gpt;
using namespace claude_gpt::bridge;

struct Place {
  core::Uuid conversation_id;
  std::optional<core::Uuid> parent_id;
};

constinit Query<Place(core::Uuid, std::optional<std::string_view>, std::int64_t)> k_find{"messages", R"sql(
    SELECT m.conversation_id, m.parent_message_id FROM claude_gpt_data.messages AS m
    WHERE m.id OPERATOR(pg_catalog.=) $1 AND m.role OPERATOR(pg_catalog.=) $2 LIMIT $3
    )sql"};

void use(Spi& spi, const core::Uuid& id, std::int64_t most) {
  constexpr Access k_access = Access::read_only;
#if CASE == 0
  const Result<Place> found = spi.execute(k_find, k_access, id, "user", most);
  [[maybe_unused]] const core::Uuid conversation = found.get<&Place::conversation_id>();
  [[maybe_unused]] const std::optional<core::Uuid> parent = found.first().parent_id;
  spi.execute(k_find, k_access, id, std::nullopt, most);
#elif CASE == 1   // one argument too few
  spi.execute(k_find, k_access, id, "user");
#elif CASE == 2   // one too many
  spi.execute(k_find, k_access, id, "user", most, most);
#elif CASE == 3   // another type
  spi.execute(k_find, k_access, "user", id, most);
#elif CASE == 4   // a narrower one
  spi.execute(k_find, k_access, id, "user", std::int32_t{1});
#elif CASE == 5   // what may be NULL where the parameter may not
  spi.execute(k_find, k_access, std::optional{id}, "user", most);
#elif CASE == 6   // a column as another type
  [[maybe_unused]] const std::int64_t number = spi.execute(k_find, k_access, id, "user", most).first().conversation_id;
#elif CASE == 7   // a column that may be NULL as one that may not
  [[maybe_unused]] const core::Uuid parent = spi.execute(k_find, k_access, id, "user", most).get<&Place::parent_id>();
#elif CASE == 8   // a column that is not there
  spi.execute(k_find, k_access, id, "user", most).get<&Place::user_id>();
#elif CASE == 14  // an argument of a call as another type than SQL declares
  [[maybe_unused]] const auto number = Call{nullptr}.required<UnreadNumeric>(Parameter<std::string_view>{0, "p_model"});
#elif CASE == 9   // rows that are passed on, read
  Query<PassedOn()>* passed_on = nullptr;
  spi.execute(*passed_on, k_access).first();
#endif
  static_cast<void>(spi), static_cast<void>(id), static_cast<void>(most), static_cast<void>(k_access);
}

#if CASE == 10  // a number above the parameters
constinit Query<void(core::Uuid)> k_bad{"users", R"sql(SELECT $1, $2)sql"};
#elif CASE == 11  // a parameter that is not used
constinit Query<void(core::Uuid, bool)> k_bad{"users", R"sql(SELECT $2)sql"};
#elif CASE == 12  // no SQL type
constinit Query<void(float)> k_bad{"users", R"sql(SELECT $1)sql"};
#elif CASE == 13  // neither
constinit Query<float()> k_bad{"users", R"sql(SELECT 1)sql"};
#endif
