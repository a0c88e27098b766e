// What the extension and its schemas are called: the names that the bridge itself has to look up in the catalog, beside
// those of settings (settings.cpp) and of columns that a trigger is given. Which other tables there are it is told
// (declare_tables); what they mean it does not know.
#pragma once

namespace claude_gpt::bridge {

// Of the extension, of its library, and of the schema of its functions.
inline constexpr char k_extension[] = "claude_gpt";
// Where the tables are, and their partitions.
inline constexpr char k_data_schema[] = "claude_gpt_data";
inline constexpr char k_partition_schema[] = "claude_gpt_partitions";
// Whose owner all tables belong to.
inline constexpr char k_first_table[] = "users";
// There before the others, and alone then.
inline constexpr char k_record_of_migrations[] = "claude_gpt_migrations";

}  // namespace claude_gpt::bridge
