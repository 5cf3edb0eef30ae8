// Tenants over shards. A folder has a file for each; a database that nodes share is one shard.
#include "memory/truth/truth.h"

#include <sys/stat.h>
#include <xxhash.h>

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "memory/truth/shard.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr std::uint32_t kShardsMax = 256;
constexpr std::size_t kTouchedMax = 1'000'000;  // entries counted between two flushes
constexpr std::size_t kBehindKept = 4'096;      // rows of a shard whose marks wait in memory
constexpr std::size_t kBehindMax = 16'384;
constexpr std::chrono::milliseconds kSealPause{2}, kSealRetry{5'000};

bool shared_database(std::string_view location) {
    return location.starts_with("postgresql://") || location.starts_with("postgres://");
}

std::string shard_path(const std::string& folder, std::size_t number) {
    return fmt::format("{}/memory-{}.db", folder, number);
}

class ShardedTruth final : public Truth {
public:
    /// `folder` is empty on a database server.
    ShardedTruth(std::vector<std::unique_ptr<Shard>> shards, std::string folder)
        : folder_(std::move(folder)),
          shards_(std::move(shards)),
          touched_(shards_.size()),
          settler_([this](const std::stop_token& stop) { settle(stop); }),
          sealer_([this](const std::stop_token& stop) { seal(stop); }) {}
    /// What cannot be written now is lost, and said nowhere: counters are no memories.
    ~ShardedTruth() override { static_cast<void>(flush_touches()); }

    Result<Written> add(std::span<const NewEntry> entries, std::string_view by,
                        std::string_view model, const Also& also) override {
        if (entries.empty()) return Written{};
        const std::string& tenant = entries.front().scope.tenant;
        return exchange(tenant, {}, entries, by, model, also);
    }
    Result<Written> exchange(std::string_view tenant, std::span<const MemoryId> gone,
                             std::span<const NewEntry> entries, std::string_view by,
                             std::string_view model, const Also& also) override {
        Shard& shard = of(tenant);
        auto written = shard.exchange(tenant, gone, entries, by, model, also);
        if (const std::size_t behind = shard.marks_behind(); behind >= kBehindMax) {
            // Who writes faster than marks can follow writes them, too. A failure leaves them.
            static_cast<void>(shard.settle_marks());
        } else if (behind >= kBehindKept) {
            std::lock_guard lock(mutex_);
            behind_ = true;
            wake_.notify_one();
        }
        return written;
    }
    Result<Change> update(std::string_view tenant, const MemoryId& id, const EntryPatch& patch,
                          std::string_view by) override {
        return of(tenant).update(tenant, id, patch, by);
    }
    Result<Change> remove(std::string_view tenant, const MemoryId& id,
                          std::string_view by) override {
        return of(tenant).remove(tenant, id, by);
    }
    Result<Change> restore(std::string_view tenant, const MemoryId& id, std::uint32_t version,
                           std::string_view by) override {
        return of(tenant).restore(tenant, id, version, by);
    }
    Result<Entry> get(std::string_view tenant, const MemoryId& id) override {
        return of(tenant).get(tenant, id);
    }
    Result<void> each_row(std::string_view tenant, std::span<const RowId> rows,
                          const std::function<void(RowId, Entry&&)>& each) override {
        return of(tenant).each_row(tenant, rows, each);
    }
    Result<std::vector<EntryVersion>> history(std::string_view tenant,
                                              const MemoryId& id) override {
        return of(tenant).history(tenant, id);
    }
    Result<Page> list(const Filter& filter, Order order, std::uint32_t limit,
                      std::string_view cursor) override {
        if (limit == 0) {
            return fail_on("limit", Code::invalid_argument, "limit is 0; ask for 1 at least");
        }
        return of(filter.scope.tenant).list(filter, order, limit, cursor);
    }
    Result<void> changes(std::string_view tenant, Sequence after, std::string_view model,
                         const std::function<bool(Change&&)>& each) override {
        return of(tenant).changes(tenant, after, model, each);
    }

    bool shared() const override { return shards_[0]->store().shared(); }
    Result<Sequence> last_change(std::string_view tenant) override {
        return of(tenant).last_change(tenant);
    }

    void touch(std::string_view tenant, std::span<const MemoryId> ids, UnixMs at) override {
        std::lock_guard lock(mutex_);
        auto& touched = touched_[number_of(tenant)][std::string(tenant)];
        for (const MemoryId& id : ids) {
            const auto found = touched.find(id);
            if (found == touched.end() && touched_count_ >= kTouchedMax) continue;
            Touches& one = found == touched.end() ? touched[id] : found->second;
            touched_count_ += found == touched.end();
            ++one.count;
            one.at = std::max(one.at, at);
        }
    }

    Result<void> flush_touches() override {
        Result<void> flushed;
        for (std::size_t i = 0; i < shards_.size(); ++i) {
            TouchedTenants taken;
            {
                std::lock_guard lock(mutex_);
                taken.swap(touched_[i]);
                for (const auto& [tenant, entries] : taken) touched_count_ -= entries.size();
            }
            if (taken.empty()) continue;
            if (Result<void> wrote = shards_[i]->flush(taken); !wrote) {
                give_back(i, std::move(taken));
                flushed = wrote;
            }
        }
        return flushed;
    }

    Result<std::vector<Unembedded>> unembedded(std::string_view model,
                                               std::uint32_t limit) override {
        std::vector<Unembedded> rows;
        for (const auto& shard : shards_) {
            if (rows.size() >= limit) break;
            DG_TRY(shard->unembedded(model, limit - static_cast<std::uint32_t>(rows.size()), rows));
        }
        return rows;
    }

    Result<std::uint64_t> embeddings_pending() override {
        std::uint64_t pending = 0;
        for (const auto& shard : shards_) pending += DG_TRY(shard->embeddings_pending());
        return pending;
    }

    Result<std::vector<Change>> set_embeddings(std::string_view model,
                                               std::span<const Unembedded> rows,
                                               std::span<const float> vectors,
                                               std::uint32_t dims) override {
        if (vectors.size() != rows.size() * dims) {
            return fail(Code::invalid_argument, "{} numbers for {} vectors of {}", vectors.size(),
                        rows.size(), dims);
        }
        std::vector<Change> changes;
        for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
            std::vector<const Unembedded*> its_rows;
            std::vector<std::span<const float>> its_vectors;
            for (std::size_t i = 0; i < rows.size(); ++i) {
                if (number_of(rows[i].tenant) != shard) continue;
                its_rows.push_back(&rows[i]);
                its_vectors.push_back(vectors.subspan(i * dims, dims));
            }
            if (its_rows.empty()) continue;
            DG_TRY(shards_[shard]->set_embeddings(model, its_rows, its_vectors, changes));
        }
        return changes;
    }

    Result<std::vector<Change>> sweep(UnixMs now) override {
        std::vector<Change> changes;
        for (const auto& shard : shards_) DG_TRY(shard->sweep(now, changes));
        return changes;
    }
    Result<Sequence> take_sequences(base::store::Transaction& tx, std::string_view tenant,
                                    std::int64_t count) override {
        return of(tenant).take_sequences(tx, count);
    }
    void doubt_marks(std::string_view tenant, std::span<const RowId> rows) override {
        of(tenant).doubt_marks(rows);
    }
    base::store::Store& store_of(std::string_view tenant) override { return of(tenant).store(); }
    std::vector<std::string> files_of(std::string_view tenant) override {
        if (folder_.empty()) return {};
        const std::string path = shard_path(folder_, number_of(tenant));
        std::vector<std::string> files{path, path + "-wal", path + "-shm", path + "-journal"};
        if (SubjectKeys* keys = sealing_of(tenant).keys()) {
            for (std::string& file : keys->files()) files.push_back(std::move(file));
        }
        return files;
    }
    const Sealing& sealing_of(std::string_view tenant) override { return of(tenant).sealing(); }
    const Sealing& sealing_in(const base::store::Store& store) override {
        for (const auto& shard : shards_) {
            if (&shard->store() == &store) return shard->sealing();
        }
        return Sealing::none();
    }
    Result<void> each_store(const std::function<Result<void>(base::store::Store&)>& each) override {
        for (const auto& shard : shards_) DG_TRY(each(shard->store()));
        return {};
    }
    Result<std::vector<std::string>> tenants() override {
        std::vector<std::string> names;
        for (const auto& shard : shards_) DG_TRY(shard->tenants(names));
        std::sort(names.begin(), names.end());
        return names;
    }
    Result<StoreStats> stats(std::string_view passages) override {
        StoreStats stats;
        for (const auto& shard : shards_) DG_TRY(shard->stats(stats, passages));
        stats.encryption = shards_[0]->sealing().seals() ? Encryption::subject : Encryption::off;
        return stats;
    }
    Result<void> check() override {
        for (const auto& shard : shards_) DG_TRY(shard->store().check());
        return {};
    }

private:
    using TouchedTenants = std::map<std::string, std::unordered_map<MemoryId, Touches>>;

    /// Part of the format: a tenant stays where it is.
    std::size_t number_of(std::string_view tenant) const {
        return XXH3_64bits(tenant.data(), tenant.size()) % shards_.size();
    }
    Shard& of(std::string_view tenant) { return *shards_[number_of(tenant)]; }

    void settle(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (wake_.wait(lock, stop, [this] { return behind_; })) {
            behind_ = false;
            lock.unlock();
            for (const auto& shard : shards_) {
                if (stop.stop_requested()) return;
                // What fails is tried again when more is written.
                if (shard->marks_behind() >= kBehindKept) {
                    static_cast<void>(shard->settle_marks());
                }
            }
            lock.lock();
        }
    }

    /// What was written before there were keys.
    void seal(const std::stop_token& stop) {
        for (const auto& shard : shards_) {
            while (!stop.stop_requested()) {
                const auto more = shard->seal_some();
                if (more && !*more) break;
                // Others write in between; what fails (a full disk) is tried again.
                std::unique_lock lock(mutex_);
                sealing_pause_.wait_for(lock, stop, more ? kSealPause : kSealRetry,
                                        [] { return false; });
            }
        }
    }

    void give_back(std::size_t shard, TouchedTenants&& taken) {
        std::lock_guard lock(mutex_);
        for (const auto& [tenant, entries] : taken) {
            for (const auto& [id, touched] : entries) {
                const auto [at, fresh] = touched_[shard][tenant].try_emplace(id);
                touched_count_ += fresh;
                at->second.count += touched.count;
                at->second.at = std::max(at->second.at, touched.at);
            }
        }
    }

    const std::string folder_;
    std::vector<std::unique_ptr<Shard>> shards_;
    std::mutex mutex_;                     // guards the three below
    std::vector<TouchedTenants> touched_;  // by shard
    std::size_t touched_count_ = 0;
    bool behind_ = false;
    std::condition_variable_any wake_;
    std::condition_variable_any sealing_pause_;
    std::jthread settler_;  // of marks that wait
    std::jthread sealer_;   // of what is plain; both end first
};

Result<void> make_private_folder(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) {
        return fail_on(path, Code::failed_precondition, "cannot make folder {}: {}", path,
                       error.message());
    }
    ::chmod(path.c_str(), 0700);
    return {};
}

/// How many shards the folder was made with; `wanted` where it is new.
Result<std::uint32_t> shards_of(Shard& first, std::uint32_t wanted) {
    const std::string kept = DG_TRY(first.meta("shards"));
    if (kept.empty()) {
        DG_TRY(first.set_meta("shards", std::to_string(wanted)));
        return wanted;
    }
    std::uint32_t number = 0;
    std::from_chars(kept.data(), kept.data() + kept.size(), number);
    if (number >= 1 && number <= kShardsMax) return number;
    return fail(Code::data_loss, "the store says it has \"{}\" shards; restore it from a backup",
                kept);
}

}  // namespace

Result<std::unique_ptr<Truth>> Truth::open(const StoreOptions& options, const base::Clock& clock) {
    Shard::Limits limits{options.content_bytes_max, options.versions_keep_ms,
                         options.encryption == Encryption::subject, options.key_file};
    if (limits.key_file.empty() && !shared_database(options.location)) {
        limits.key_file = options.location + "/memory.key";
    }
    if (limits.key_file.empty() && limits.seals) {
        return fail_on("memory.key_file", Code::invalid_argument,
                       "memories of a database server are to be sealed: say in memory.key_file "
                       "where the key is that wraps their keys; every node needs the same file");
    }
    std::vector<std::unique_ptr<Shard>> shards;
    if (shared_database(options.location)) {
        shards.push_back(DG_TRY(Shard::open(options.location, limits, clock)));
        return std::make_unique<ShardedTruth>(std::move(shards), "");
    }
    if (options.shards < 1 || options.shards > kShardsMax) {
        return fail_on("shards", Code::invalid_argument, "{} shards; give 1 to {}", options.shards,
                       kShardsMax);
    }
    const std::string& folder = options.location;
    const bool existed = std::filesystem::exists(folder);
    DG_TRY(make_private_folder(folder));
    if (existed && !std::filesystem::exists(shard_path(folder, 0)) &&
        std::filesystem::exists(shard_path(folder, 1))) {
        return fail_on(folder, Code::data_loss,
                       "{} is missing; restore it from a backup of the same time as the others",
                       shard_path(folder, 0));
    }
    shards.push_back(DG_TRY(Shard::open(shard_path(folder, 0), limits, clock)));
    const std::uint32_t number = DG_TRY(shards_of(*shards[0], options.shards));
    const bool complete = !DG_TRY(shards[0]->meta("complete")).empty();
    for (std::uint32_t i = 1; i < number; ++i) {
        const std::string path = shard_path(folder, i);
        if (complete && !std::filesystem::exists(path)) {
            return fail_on(folder, Code::data_loss,
                           "{} is missing; restore it from a backup of the same time as the others",
                           path);
        }
        shards.push_back(DG_TRY(Shard::open(path, limits, clock)));
    }
    if (!complete) DG_TRY(shards[0]->set_meta("complete", "yes"));
    return std::make_unique<ShardedTruth>(std::move(shards), folder);
}

}  // namespace memory::truth
