#include "base/store/store.h"

#include "base/store/sqlite_store.h"

namespace base::store {

Result<std::unique_ptr<Store>> Store::open(std::string_view location, const StoreOptions& options) {
    return open_sqlite(std::string(location), options);
}

Result<void> migrate(Store& store, std::span<const std::string> steps) {
    return store.write([&](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("CREATE TABLE IF NOT EXISTS schema_step (step BIGINT NOT NULL)"));
        std::int64_t done = 0;
        DG_TRY(tx.query("SELECT count(*) FROM schema_step", {}, [&](const Row& row) {
            done = row.integer(0);
            return true;
        }));
        const auto known = static_cast<std::int64_t>(steps.size());
        if (done > known) {
            return fail(Code::failed_precondition,
                        "the store has format {}, this program knows {}; use the newer program",
                        done, known);
        }
        for (std::int64_t step = done; step < known; ++step) {
            DG_TRY(tx.run(steps[static_cast<std::size_t>(step)]));
            DG_TRY(tx.run("INSERT INTO schema_step(step) VALUES ($1)", {step + 1}));
        }
        return {};
    });
}

}  // namespace base::store
