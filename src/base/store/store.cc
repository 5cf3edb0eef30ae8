#include "base/store/store.h"

#include "base/core/url_password.h"
#include "base/store/postgres_location.h"
#include "base/store/postgres_store.h"
#include "base/store/sqlite_store.h"

namespace base::store {

Result<std::unique_ptr<Store>> Store::open(std::string_view location, const StoreOptions& options) {
    if (is_postgres(location)) return open_postgres(location, options);
    if (location.find("://") != std::string_view::npos) {
        return fail(Code::invalid_argument,
                    "no store is known for {}; give the path of a file, or postgresql://...",
                    without_password(location));
    }
    return open_sqlite(std::string(location), options);
}

Result<void> migrate(Store& store, std::string_view part, std::span<const std::string> steps) {
    return store.write([&](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run(
            "CREATE TABLE IF NOT EXISTS schema_step (part TEXT NOT NULL, step BIGINT NOT NULL)"));
        std::int64_t done = 0;
        DG_TRY(tx.query("SELECT count(*) FROM schema_step WHERE part = $1", {part},
                        [&](const Row& row) {
                            done = row.integer(0);
                            return true;
                        }));
        const auto known = static_cast<std::int64_t>(steps.size());
        if (done > known) {
            return fail(
                Code::failed_precondition,
                "the store has format {} of {}, this program knows {}; use the newer program", done,
                part, known);
        }
        for (std::int64_t step = done; step < known; ++step) {
            DG_TRY(tx.run(steps[static_cast<std::size_t>(step)]));
            DG_TRY(tx.run("INSERT INTO schema_step(part, step) VALUES ($1, $2)", {part, step + 1}));
        }
        return {};
    });
}

}  // namespace base::store
