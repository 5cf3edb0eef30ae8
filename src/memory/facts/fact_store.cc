// Tables first, then the tenant's picture. Changes of one store are made one after another, so that
// pictures hear of them in the order of their recording. Where several processes write, each change
// takes its time of recording from the store, and a picture that missed one is read again.
#include "memory/facts/fact_store.h"

#include <algorithm>
#include <mutex>

#include "memory/facts/fact_rows.h"
#include "memory/facts/reading_rows.h"
#include "memory/facts/tenant_facts.h"

namespace memory::facts {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
using base::store::Transaction;

constexpr std::string_view kIdPrefix = "fact-";
constexpr std::string_view kIdDigits = "0123456789abcdefghjkmnpqrstvwxyz";

std::string digits_of(std::uint64_t value, std::size_t count) {
    std::string out(count, '0');
    for (std::size_t i = count; i > 0; --i, value /= 32) out[i - 1] = kIdDigits[value % 32];
    return out;
}

/// Times of recording that never repeat or go back, whatever the clock does, and ids by them.
class Recorder {
public:
    explicit Recorder(const base::Clock& clock) : clock_(clock) {}

    void go_on_after(const FactId& id) {
        UnixMs time = 0;
        for (std::size_t i = kIdPrefix.size(); i < kIdPrefix.size() + kTimeDigits && i < id.size();
             ++i) {
            time = time * 32 + static_cast<UnixMs>(kIdDigits.find(id[i]));
        }
        last_ = std::max(last_, time);
    }
    /// Not before what was recorded last, so that who writes sees it.
    UnixMs now() const { return std::max(clock_.unix_ns() / 1'000'000, last_); }
    /// For all that one call records.
    UnixMs next_time() { return last_ = std::max(clock_.unix_ns() / 1'000'000, last_ + 1); }
    void go_on_after(UnixMs time) { last_ = std::max(last_, time); }
    static FactId id(UnixMs recorded, std::uint64_t place) {
        return std::string(kIdPrefix) +
               digits_of(static_cast<std::uint64_t>(recorded), kTimeDigits) +
               digits_of(place, kPlaceDigits);
    }

private:
    static constexpr std::size_t kTimeDigits = 10, kPlaceDigits = 16;
    const base::Clock& clock_;
    UnixMs last_ = 0;
};

Result<void> check(std::span<const Assertion> said, std::string_view tenant) {
    for (std::size_t i = 0; i < said.size(); ++i) {
        const Assertion& one = said[i];
        const auto at = [&](std::string_view field) {
            return fmt::format("facts[{}].{}", i, field);
        };
        if (one.scope.tenant != tenant || tenant.empty()) {
            return fail_on(at("scope.tenant"), Code::invalid_argument,
                           "is \"{}\"; all facts of a call are of one tenant with a name",
                           one.scope.tenant);
        }
        if (normal_name(one.subject).empty() || one.predicate.empty()) {
            return fail_on(at(one.predicate.empty() ? "predicate" : "subject"),
                           Code::invalid_argument, "is empty; a fact says something of somebody");
        }
        if (normal_name(one.object).empty() && !one.ends) {
            return fail_on(at("object"), Code::invalid_argument,
                           "is empty; only the end of a fact can do without an object");
        }
        if (!(one.confidence >= 0 && one.confidence <= 1)) {
            return fail_on(at("confidence"), Code::invalid_argument, "is {}; give 0 to 1",
                           one.confidence);
        }
        if (one.valid_to_unix_ms != 0 && one.valid_to_unix_ms <= one.valid_from_unix_ms) {
            return fail_on(at("valid_to"), Code::invalid_argument,
                           "is {} ms, not after valid_from, {} ms; leave it out for an open end",
                           one.valid_to_unix_ms, one.valid_from_unix_ms);
        }
    }
    return {};
}

Result<void> check_source(std::string_view tenant, std::string_view source,
                          std::span<const Assertion> said) {
    DG_TRY(check(said, tenant));
    for (std::size_t i = 0; i < said.size(); ++i) {
        const bool names_it = std::ranges::any_of(
            said[i].sources, [&](const SourceSpan& span) { return span.source == source; });
        if (!names_it) {
            return fail_on(fmt::format("facts[{}].sources", i), Code::invalid_argument,
                           "does not name the source {}", source);
        }
    }
    return {};
}

/// Whether two assertions say the same, whenever and wherever they were said.
bool says_the_same(const Assertion& a, const Assertion& b) {
    return a.scope == b.scope && a.subject == b.subject && a.predicate == b.predicate &&
           a.object == b.object && a.cardinality == b.cardinality && a.confidence == b.confidence &&
           a.valid_from_unix_ms == b.valid_from_unix_ms &&
           a.valid_to_unix_ms == b.valid_to_unix_ms && a.ends == b.ends && a.sources == b.sources;
}

class SqlFactStore final : public FactStore {
public:
    SqlFactStore(base::store::Store& store, const base::Clock& clock, const truth::Sealing& sealing)
        : store_(store), sealing_(sealing), recorder_(clock) {}

    Result<void> prepare() {
        DG_TRY(store_.write([&](Transaction& tx) -> Result<void> {
            DG_TRY(make_fact_tables(tx, store_.dialect()));
            DG_TRY(make_reading_tables(tx));
            recorder_.go_on_after(DG_TRY(last_fact_id(tx)));
            return {};
        }));
        return sealing_.seals() ? seal_old() : Result<void>{};
    }

    /// Those from before there were keys: few beside the memories, so before anything is asked.
    Result<void> seal_old() {
        constexpr std::uint32_t kAtOnce = 1'000;
        std::uint64_t all = 0, some = 0;
        do {
            DG_TRY(store_.write([&](Transaction& tx) -> Result<void> {
                some = DG_TRY(seal_facts(tx, kAtOnce, sealing_));
                return {};
            }));
            all += some;
        } while (some == kAtOnce);
        return all > 0 ? store_.scrub() : Result<void>{};
    }

    Result<std::vector<FactId>> add(std::span<const Assertion> said) override {
        std::vector<FactId> ids;
        if (said.empty()) return ids;
        const std::string& tenant = said.front().scope.tenant;
        DG_TRY(check(said, tenant));
        const std::lock_guard lock(mutex_);
        std::vector<Assertion> made;
        DG_TRY(store_.write([&](Transaction& tx) -> Result<void> {
            made = recorded(said, DG_TRY(next_time(tx, tenant)));
            for (const Assertion& one : made) DG_TRY(insert_fact(tx, one, sealing_));
            return {};
        }));
        for (Assertion& one : made) ids.push_back(one.id);
        tell(tenant, std::move(made));
        return ids;
    }

    Result<void> retract(std::string_view tenant, const FactId& id) override {
        const std::lock_guard lock(mutex_);
        DG_TRY(store_.write([&](Transaction& tx) -> Result<void> {
            const UnixMs now = DG_TRY(next_time(tx, tenant));
            if (DG_TRY(set_retracted(tx, tenant, id, now)) != 0) return {};
            return fail_on(id, Code::not_found, "tenant {} has no fact {} that stands", tenant, id);
        }));
        pictures_.erase(std::string(tenant));  // read again when it is asked for
        return {};
    }

    Result<void> set_source(std::string_view tenant, std::string_view source,
                            std::span<const Assertion> said) override {
        DG_TRY(check_source(tenant, source, said));
        const std::lock_guard lock(mutex_);
        const UnixMs now = recorder_.next_time();
        std::vector<Assertion> changed;
        DG_TRY(store_.write([&](Transaction& tx) -> Result<void> {
            changed.clear();  // may run again
            std::uint64_t place = 0;
            return replace_source(tx, tenant, source, said, now, place, changed);
        }));
        tell(tenant, std::move(changed));
        return {};
    }

    Result<std::int64_t> read_upto(std::string_view tenant, std::string_view reader) override {
        std::int64_t upto = 0;
        DG_TRY(store_.read([&](Transaction& tx) -> Result<void> {
            const Progress progress = DG_TRY(load_progress(tx, tenant));
            if (progress.reader == reader) upto = progress.upto;
            return {};
        }));
        return upto;
    }

    Result<std::map<std::int64_t, std::uint32_t>> versions_read(
        std::string_view tenant, std::string_view reader,
        std::span<const std::int64_t> rows) override {
        std::map<std::int64_t, std::uint32_t> versions;
        DG_TRY(store_.read([&](Transaction& tx) -> Result<void> {
            versions.clear();
            const bool same = DG_TRY(load_progress(tx, tenant)).reader == reader;
            for (const std::int64_t row : rows) {
                const auto kept = DG_TRY(load_reading(tx, tenant, row));
                // Another's reading still says that there is something to take back.
                if (kept) versions.emplace(row, same ? kept->version : 0);
            }
            return {};
        }));
        return versions;
    }

    Result<void> keep_readings(std::string_view tenant, std::string_view reader, std::int64_t upto,
                               std::span<const Reading> readings, const Current& current) override {
        for (const Reading& reading : readings) {
            if (!reading.source.empty()) {
                DG_TRY(check_source(tenant, reading.source, reading.said));
            }
        }
        const std::lock_guard lock(mutex_);
        std::vector<Assertion> changed;
        DG_TRY(store_.write([&](Transaction& tx) -> Result<void> {
            changed.clear();
            const UnixMs now = DG_TRY(next_time(tx, tenant));
            std::uint64_t place = 0;
            if (DG_TRY(load_progress(tx, tenant)).reader != reader) {
                DG_TRY(reset_versions(tx, tenant));
            }
            for (const Reading& reading : readings) {
                std::string source = reading.source;
                if (source.empty()) {
                    const auto kept = DG_TRY(load_reading(tx, tenant, reading.row));
                    if (!kept) continue;
                    source = kept->source;
                    DG_TRY(drop_reading(tx, tenant, reading.row));
                } else {
                    if (!DG_TRY(current(tx, reading))) continue;
                    DG_TRY(save_reading(tx, tenant, reading.row, {reading.version, source}));
                }
                DG_TRY(replace_source(tx, tenant, source, reading.said, now, place, changed));
            }
            return save_progress(tx, tenant, {std::string(reader), upto});
        }));
        tell(tenant, std::move(changed));
        return {};
    }

    Result<void> add_alias(std::string_view tenant, std::string_view alias,
                           std::string_view name) override {
        const std::string from = normal_name(alias), to = normal_name(name);
        if (from.empty() || to.empty()) {
            return fail_on(from.empty() ? "alias" : "name", Code::invalid_argument, "is empty");
        }
        const std::lock_guard lock(mutex_);
        for (;;) {
            TenantFacts* facts = DG_TRY(picture(tenant));
            if (facts->names().would_circle(from, to)) {
                return fail_on("alias", Code::failed_precondition,
                               "\"{}\" already means \"{}\"; an alias cannot lead back to itself",
                               name, alias);
            }
            bool meanwhile = false;  // somebody changed what was looked at
            const auto wrote = store_.write([&](Transaction& tx) -> Result<void> {
                DG_TRY(next_time(tx, tenant));
                meanwhile = !pictures_.at(std::string(tenant)).current;
                if (meanwhile) return fail_on("alias", Code::unavailable, "others write");
                return set_alias(tx, tenant, from, to);
            });
            if (meanwhile) continue;
            DG_TRY(std::move(wrote));
            facts->add_alias(from, to);
            took(tenant);
            return {};
        }
    }

    void reload(std::string_view tenant) override {
        const std::lock_guard lock(mutex_);
        pictures_.erase(std::string(tenant));
    }

    Result<std::vector<Fact>> query(const FactQuery& query) override {
        const std::lock_guard lock(mutex_);
        return DG_TRY(picture(query.scope.tenant))->query(query, recorder_.now());
    }

    Result<std::vector<Contradiction>> contradictions(const FactQuery& query) override {
        const std::lock_guard lock(mutex_);
        return DG_TRY(picture(query.scope.tenant))->contradictions(query, recorder_.now());
    }

    Result<std::vector<Neighbour>> neighbours(std::string_view tenant, std::string_view name,
                                              std::uint32_t depth, std::uint32_t limit) override {
        const std::lock_guard lock(mutex_);
        TenantFacts* facts = DG_TRY(picture(tenant));
        const graph::Graph& graph = facts->graph(recorder_.now());
        std::vector<Neighbour> out;
        const auto node = facts->node_of(name);
        if (!node) return out;
        for (const graph::Reached& one : graph.neighbours(*node, depth, limit)) {
            out.push_back({facts->name_of(one.node), one.depth});
        }
        return out;
    }

    Result<Neighbourhood> neighbourhood(std::string_view tenant, std::string_view name,
                                        std::uint32_t depth, std::uint32_t limit) override {
        const std::lock_guard lock(mutex_);
        return DG_TRY(picture(tenant))->neighbourhood(name, depth, limit, recorder_.now());
    }

    Result<std::vector<Path>> paths(std::string_view tenant, std::string_view from,
                                    std::string_view to, std::uint32_t length,
                                    std::uint32_t limit) override {
        const std::lock_guard lock(mutex_);
        return DG_TRY(picture(tenant))->paths(from, to, length, limit, recorder_.now());
    }

    Result<std::vector<NearSource>> near_sources(std::string_view tenant, std::string_view text,
                                                 std::uint32_t limit) override {
        const std::lock_guard lock(mutex_);
        return DG_TRY(picture(tenant))->near_sources(text, limit, recorder_.now());
    }

private:
    struct Picture {
        std::unique_ptr<TenantFacts> facts;
        std::uint64_t assertions = 0;  ///< when it was read, and those put since
        std::uint64_t used = 0;        ///< the higher, the later
        UnixMs last = 0;               ///< the change it has, where others write
        bool current = true;           ///< it had all when the change in hand was begun
    };

    /// For a change of `tenant` within `tx`.
    Result<UnixMs> next_time(Transaction& tx, std::string_view tenant) {
        if (!store_.shared()) return recorder_.next_time();
        const auto found = pictures_.find(std::string(tenant));
        if (found != pictures_.end()) {
            found->second.current = DG_TRY(last_fact_change(tx, tenant)) == found->second.last;
        }
        taken_ = DG_TRY(take_fact_change(tx, tenant, recorder_.next_time()));
        recorder_.go_on_after(taken_);
        return taken_;
    }
    /// The change in hand is written: a picture that had all before it has all again.
    void took(std::string_view tenant) {
        const auto found = pictures_.find(std::string(tenant));
        if (found != pictures_.end() && found->second.current) found->second.last = taken_;
    }

    std::vector<Assertion> recorded(std::span<const Assertion> said, UnixMs time) {
        std::vector<Assertion> made(said.begin(), said.end());
        std::uint64_t place = 0;
        for (Assertion& one : made) {
            one.recorded_unix_ms = time;
            one.retracted_unix_ms = 0;
            one.id = Recorder::id(time, place++);
        }
        return made;
    }

    Result<void> replace_source(Transaction& tx, std::string_view tenant, std::string_view source,
                                std::span<const Assertion> said, UnixMs now, std::uint64_t& place,
                                std::vector<Assertion>& changed) {
        std::vector<const Assertion*> fresh;
        for (const Assertion& one : said) fresh.push_back(&one);
        for (Assertion& old : DG_TRY(load_facts_of(tx, tenant, source, sealing_))) {
            if (old.retracted_unix_ms != 0) continue;
            const auto same = std::ranges::find_if(
                fresh, [&](const Assertion* one) { return says_the_same(*one, old); });
            if (same != fresh.end()) {
                fresh.erase(same);
                continue;
            }
            std::erase_if(old.sources, [&](const SourceSpan& s) { return s.source == source; });
            if (old.sources.empty()) {
                old.retracted_unix_ms = now;
                DG_TRY(set_retracted(tx, tenant, old.id, now));
            }
            DG_TRY(drop_source(tx, tenant, old.id, source));
            changed.push_back(std::move(old));
        }
        for (const Assertion* one : fresh) {
            Assertion made = *one;
            made.recorded_unix_ms = now;
            made.retracted_unix_ms = 0;
            made.id = Recorder::id(now, place++);
            DG_TRY(insert_fact(tx, made, sealing_));
            changed.push_back(std::move(made));
        }
        return {};
    }

    /// Only a picture that is there hears of changes; another is read when it is asked for.
    void tell(std::string_view tenant, std::vector<Assertion> changed) {
        const auto found = pictures_.find(std::string(tenant));
        if (found == pictures_.end()) return;
        found->second.assertions += changed.size();
        for (Assertion& one : changed) found->second.facts->put(std::move(one));
        took(tenant);
    }

    Result<TenantFacts*> picture(std::string_view tenant) {
        if (const auto found = pictures_.find(std::string(tenant)); found != pictures_.end()) {
            found->second.used = ++uses_;
            if (DG_TRY(has_all(tenant, found->second))) return found->second.facts.get();
        }
        Picture made{.facts = std::make_unique<TenantFacts>(), .used = ++uses_};
        DG_TRY(store_.read([&](Transaction& tx) -> Result<void> {
            if (store_.shared()) made.last = DG_TRY(last_fact_change(tx, tenant));
            std::vector<Assertion> all = DG_TRY(load_facts(tx, tenant, sealing_));
            made.assertions = all.size();
            for (Assertion& one : all) made.facts->put(std::move(one));
            return load_aliases(tx, tenant, [&](std::string_view alias, std::string_view name) {
                made.facts->add_alias(std::string(alias), std::string(name));
            });
        }));
        make_room(made.assertions);
        return (pictures_[std::string(tenant)] = std::move(made)).facts.get();
    }

    Result<bool> has_all(std::string_view tenant, const Picture& picture) {
        if (!store_.shared()) return true;
        UnixMs last = 0;
        DG_TRY(store_.read([&](Transaction& tx) -> Result<void> {
            last = DG_TRY(last_fact_change(tx, tenant));
            return {};
        }));
        return last == picture.last;
    }

    /// Forgets the pictures that were used longest ago.
    void make_room(std::uint64_t assertions) {
        constexpr std::uint64_t kAssertionsMax = 1'000'000;  // half a gigabyte or so
        for (const auto& [tenant, picture] : pictures_) assertions += picture.assertions;
        while (assertions > kAssertionsMax && !pictures_.empty()) {
            const auto oldest = std::ranges::min_element(
                pictures_, {}, [](const auto& entry) { return entry.second.used; });
            assertions -= oldest->second.assertions;
            pictures_.erase(oldest);
        }
    }

    base::store::Store& store_;
    const truth::Sealing& sealing_;
    std::mutex mutex_;
    Recorder recorder_;
    std::map<std::string, Picture> pictures_;
    std::uint64_t uses_ = 0;
    UnixMs taken_ = 0;  ///< for the change in hand, where others write
};

}  // namespace

Result<std::unique_ptr<FactStore>> FactStore::open(base::store::Store& store,
                                                   const base::Clock& clock,
                                                   const truth::Sealing& sealing) {
    auto made = std::make_unique<SqlFactStore>(store, clock, sealing);
    DG_TRY(made->prepare());
    return std::unique_ptr<FactStore>(std::move(made));
}

}  // namespace memory::facts
