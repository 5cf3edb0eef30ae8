#pragma once
// Which entries were read for facts, in which version, and how far. Each call is part of the
// caller's transaction.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/store/store.h"

namespace memory::facts {

struct Progress {
    std::string reader = {};
    std::int64_t upto = 0;
};
struct KeptReading {
    std::uint32_t version = 0;
    std::string source = {};
};

base::Result<void> make_reading_tables(base::store::Transaction& tx);
base::Result<Progress> load_progress(base::store::Transaction& tx, std::string_view tenant);
base::Result<void> save_progress(base::store::Transaction& tx, std::string_view tenant,
                                 const Progress& progress);
base::Result<std::optional<KeptReading>> load_reading(base::store::Transaction& tx,
                                                      std::string_view tenant, std::int64_t row);
base::Result<void> save_reading(base::store::Transaction& tx, std::string_view tenant,
                                std::int64_t row, const KeptReading& reading);
base::Result<void> drop_reading(base::store::Transaction& tx, std::string_view tenant,
                                std::int64_t row);
/// No version counts as read any more; what was read where stays known.
base::Result<void> reset_versions(base::store::Transaction& tx, std::string_view tenant);

}  // namespace memory::facts
