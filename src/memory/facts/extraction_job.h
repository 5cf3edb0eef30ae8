#pragma once
// Keeps the facts what the memories say, in the background: what was written is read, what was
// changed is read again, what is gone takes its facts along. How far it came is on disk with the
// facts, so that a later process goes on from there. Facts have no access labels: entries with some
// are not read.

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/exec/batch_job.h"
#include "memory/facts/extractor.h"
#include "memory/facts/fact_store.h"
#include "memory/truth/truth.h"

namespace memory::facts {

class ExtractionJob {
public:
    using StoreOf = std::function<FactStore&(std::string_view tenant)>;
    using Reads = std::function<bool(std::string_view tenant)>;

    /// Starts with all tenants of which `reads` is true; others are never read. Stops after the
    /// batch in hand when it goes.
    ExtractionJob(truth::Truth& truth, StoreOf store_of, Reads reads,
                  std::shared_ptr<Extractor> extractor);

    /// Something of this tenant was written.
    void notify(std::string_view tenant);
    /// Waits until everything written before was read. Errors: the extractor's or the store's.
    base::Result<void> settle() { return job_.settle(); }

private:
    base::Result<std::size_t> one_batch();
    base::Result<bool> read_some(const std::string& tenant);

    truth::Truth& truth_;
    const StoreOf store_of_;
    const Reads reads_;
    const std::shared_ptr<Extractor> extractor_;
    std::mutex mutex_;
    std::set<std::string, std::less<>> waiting_;  // guarded by mutex_
    std::string last_;                            // the tenant that was read last
    bool all_ = true;                             // of the job's thread: tenants not listed yet
    base::BatchJob job_;
};

}  // namespace memory::facts
