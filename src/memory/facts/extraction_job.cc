#include "memory/facts/extraction_job.h"

#include <utility>
#include <vector>

#include "memory/filter.h"
#include "memory/truth/rewrite.h"

namespace memory::facts {
namespace {

using base::Code;
using base::Result;

/// Entries read for one commit.
constexpr std::size_t kBatch = 128;

ExtractContext context_of(const Entry& entry) {
    return {.scope = {.tenant = entry.scope.tenant, .user = entry.scope.user},
            .speaker = entry.speaker.empty() ? entry.scope.user : entry.speaker,
            .listener = {},
            .said_at_unix_ms = entry.created_unix_ms,
            .source = entry.id};
}

class RuleExtractor final : public Extractor {
public:
    const std::string& id() const override { return id_; }
    Result<std::vector<Assertion>> extract(std::string_view text,
                                           const ExtractContext& context) override {
        std::vector<Assertion> said;
        for (Extracted& found : facts::extract(text, context)) {
            said.push_back(std::move(found.assertion));
        }
        return said;
    }

private:
    const std::string id_ = "rules-2";
};

}  // namespace

std::shared_ptr<Extractor> rule_extractor() {
    return std::make_shared<RuleExtractor>();
}

ExtractionJob::ExtractionJob(truth::Truth& truth, StoreOf store_of, Reads reads,
                             std::shared_ptr<Extractor> extractor)
    : truth_(truth),
      store_of_(std::move(store_of)),
      reads_(std::move(reads)),
      extractor_(std::move(extractor)),
      job_([this] { return one_batch(); }) {}

void ExtractionJob::notify(std::string_view tenant) {
    if (!reads_(tenant)) return;
    {
        const std::lock_guard lock(mutex_);
        if (!waiting_.contains(tenant)) waiting_.emplace(tenant);
    }
    job_.notify();
}

Result<std::size_t> ExtractionJob::one_batch() {
    if (all_) {
        auto tenants = DG_TRY(truth_.tenants());
        const std::lock_guard lock(mutex_);
        for (std::string& tenant : tenants) {
            if (reads_(tenant)) waiting_.insert(std::move(tenant));
        }
        all_ = false;
    }
    std::string tenant;
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) return std::size_t{0};
        auto next = waiting_.upper_bound(last_);  // in turn: one that fails does not hold the rest
        if (next == waiting_.end()) next = waiting_.begin();
        tenant = std::move(waiting_.extract(next).value());
        last_ = tenant;
    }
    const auto more = read_some(tenant);
    if (!more || *more) {
        const std::lock_guard lock(mutex_);
        waiting_.insert(tenant);
    }
    if (!more) return std::unexpected(more.error());
    return std::size_t{1};
}

/// Whether there may be more of it.
Result<bool> ExtractionJob::read_some(const std::string& tenant) {
    FactStore& store = store_of_(tenant);
    std::int64_t upto = DG_TRY(store.read_upto(tenant, extractor_->id()));
    std::vector<truth::Change> changes;
    DG_TRY(truth_.changes(tenant, upto, "", [&](truth::Change&& change) {
        changes.push_back(std::move(change));
        return changes.size() < kBatch;
    }));
    if (changes.empty()) return false;
    std::vector<std::int64_t> rows;
    for (const auto& change : changes) rows.push_back(change.row);
    const auto versions = DG_TRY(store.versions_read(tenant, extractor_->id(), rows));
    Filter anybody;  // whoever it is, without labels
    anybody.scope.tenant = tenant;
    anybody.expired_too = true;
    std::vector<Reading> readings;
    for (const auto& [row, sequence, gone, entry, embedding] : changes) {
        upto = sequence;
        const auto read = versions.find(row);
        if (gone) {
            if (read != versions.end()) readings.push_back({.row = row});
            continue;
        }
        if (read != versions.end() && read->second == entry.version) continue;
        Reading& reading = readings.emplace_back(
            Reading{.row = row, .version = entry.version, .source = entry.id});
        if (!matches(anybody, entry, 0)) continue;
        auto said = extractor_->extract(entry.content, context_of(entry));
        // A text that cannot be read says nothing; it must not stand before all others.
        if (said) {
            reading.said = std::move(*said);
        } else if (said.error().code == Code::unavailable) {
            return std::unexpected(std::move(said).error());
        }
    }
    // What was changed or forgotten while it was read leaves no facts behind.
    const auto current = [&](base::store::Transaction& tx, const Reading& reading) {
        return truth::is_live(tx, tenant, reading.row, reading.version);
    };
    DG_TRY(store.keep_readings(tenant, extractor_->id(), upto, readings, current));
    return changes.size() == kBatch;
}

}  // namespace memory::facts
