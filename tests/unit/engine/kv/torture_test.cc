#include "unit/engine/kv/torture.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/core/check.h"

namespace test {
namespace {

using engine::KvScope;
using engine::KvSequence;
using engine::PrefixCache;

constexpr std::uint32_t kPoolPagesMin = 24, kPoolPagesMax = 96;
constexpr std::size_t kLivesMax = 12;
constexpr std::size_t kPastMax = 40;
constexpr std::uint32_t kTextMax = 44;

engine::PrefixCacheLimits limits_for(base::Rng& rng) {
    engine::PrefixCacheLimits limits;
    if (rng.below(3) == 0) limits.pages_max = static_cast<std::uint32_t>(1 + rng.below(40));
    limits.sessions_max = static_cast<std::uint32_t>(1 + rng.below(8));
    limits.tenant_share = 0.1 * static_cast<double>(1 + rng.below(9));
    limits.session_share = 0.1 * static_cast<double>(rng.below(10));
    limits.session_idle = std::chrono::seconds(30);
    return limits;
}

std::uint32_t pool_pages(base::Rng& rng) {
    return static_cast<std::uint32_t>(kPoolPagesMin + rng.below(kPoolPagesMax - kPoolPagesMin));
}

/// The next position's number: of the one before it and its token.
std::uint64_t next_value(const KvScope& scope, std::span<const std::uint64_t> before,
                         engine::TokenId token) {
    TextHash hash(scope);
    if (!before.empty()) hash.add(before.back());
    return hash.add(static_cast<std::uint32_t>(token));
}

std::vector<std::uint64_t> values_of(const KvScope& scope, std::span<const engine::TokenId> text) {
    std::vector<std::uint64_t> values;
    for (const engine::TokenId token : text) values.push_back(next_value(scope, values, token));
    return values;
}

}  // namespace

FaultySpill::FaultySpill(base::Rng& rng)
    : rng_(rng), descriptor_(::memfd_create("kv-torture", MFD_CLOEXEC)) {
    DG_CHECK(descriptor_ >= 0, "no memory file");
    file_ = std::make_unique<engine::SpillFile>(base::UniqueFd(descriptor_), "memory", 32u << 10);
}

base::Result<engine::SpillId> FaultySpill::save(std::span<const std::span<const std::byte>> parts) {
    if (rng_.below(16) == 0) return base::fail(base::Code::unavailable, "told to fail");
    return file_->save(parts);
}

base::Result<void> FaultySpill::load(engine::SpillId id,
                                     std::span<const std::span<std::byte>> parts) {
    if (rng_.below(16) == 0) return base::fail(base::Code::unavailable, "told to fail");
    struct stat status {};
    if (rng_.below(16) == 0 && ::fstat(descriptor_, &status) == 0 && status.st_size > 0) {
        const char damage = static_cast<char>(rng_.below(256));
        const auto at = rng_.below(static_cast<std::uint64_t>(status.st_size));
        DG_CHECK(::pwrite(descriptor_, &damage, 1, static_cast<::off_t>(at)) == 1);
    }
    return file_->load(id, parts);
}

void TortureCounts::add(const TortureCounts& other) {
    operations += other.operations;
    positions_compared += other.positions_compared;
    takes += other.takes;
    tokens_found += other.tokens_found;
    forks += other.forks;
    shifts += other.shifts;
    swaps_out += other.swaps_out;
    swaps_in += other.swaps_in;
    swaps_lost += other.swaps_lost;
    kept += other.kept;
    evicted += other.evicted;
    out_of_pages += other.out_of_pages;
    copies += other.copies;
}

KvTorture::KvTorture(std::uint64_t seed)
    : seed_(seed),
      rng_(seed),
      pool_(kSmallPages, pool_pages(rng_)),
      cache_(pool_, {}, clock_, limits_for(rng_)),
      spill_(rng_) {}

KvTorture::~KvTorture() {
    lives_.clear();
}

TortureCounts KvTorture::counts() const {
    TortureCounts counts = counts_;
    counts.evicted = cache_.stats().pages_evicted;
    counts.copies = pool_.stats().copies_total;
    return counts;
}

void KvTorture::run(std::uint64_t operations) {
    for (std::uint64_t i = 0; i < operations && !error_; ++i) {
        ++counts_.operations;
        operate();
        audit_counts();
    }
}

void KvTorture::operate() {
    if (lives_.empty() || (lives_.size() < kLivesMax && one_in(8))) return begin_life();
    const std::size_t index = rng_.below(lives_.size());
    Life& life = lives_[index];
    if (one_in(50)) clock_.advance(std::chrono::milliseconds(rng_.below(3000)));
    if (one_in(60)) return drop_kept();
    if (one_in(60)) return audit_kept();
    if (one_in(60))
        return static_cast<void>(cache_.reclaim(static_cast<std::uint32_t>(rng_.below(10))));
    if (life.spilled) return one_in(3) ? swap_in(index) : one_in(10) ? end_life(index) : void();
    switch (rng_.below(16)) {
        case 0:
            return end_life(index);
        case 1:
            return fork(life);
        case 2:
            return truncate(life);
        case 3:
            return shift(life);
        case 4:
            return swap_out(life);
        case 5:
            return keep(life);
        case 6:
            return put(life, PrefixCache::Tail::keep);
        case 7:
        case 8:
            return put(life, PrefixCache::Tail::leave);
        default:
            return compute_more(life);
    }
}

Tokens KvTorture::random_text(std::uint64_t length_max) {
    // Runs of one token with a few turns: long common beginnings, partings anywhere in a page.
    Tokens text;
    engine::TokenId token = 0;
    const std::uint64_t length = 1 + rng_.below(length_max);
    while (text.size() < length) {
        if (one_in(9)) token = static_cast<engine::TokenId>(rng_.below(3));
        text.push_back(token);
    }
    return text;
}

KvScope KvTorture::random_scope() {
    static const char* const kNames[] = {"", "a", "b"};
    return {kNames[rng_.below(2)], kNames[rng_.below(3)]};
}

void KvTorture::begin_life() {
    Life life;
    life.scope = random_scope();
    Tokens text = random_text(kTextMax);
    if (!past_.empty() && one_in(2)) {  // a conversation goes on, sometimes as another tenant
        const auto& [scope, old] = past_[rng_.below(past_.size())];
        if (!one_in(4)) life.scope = scope;
        text = one_in(2) ? old : joined(old, random_text(8));
    }
    if (one_in(2)) life.session = std::string(1, static_cast<char>('p' + rng_.below(4)));
    const std::uint32_t promised = cache_.matched_tokens(life.scope, text);
    std::uint32_t matched = 0;
    life.kv = cache_.take(life.scope, text, &matched);
    ++counts_.takes;
    counts_.tokens_found += matched;
    if (matched != life.kv.tokens() || matched > promised ||
        (matched > 0 && matched >= text.size())) {
        return fail(fmt::format("take gave {} tokens, said {}, promised {} of {}", life.kv.tokens(),
                                matched, promised, text.size()));
    }
    const auto split = text.begin() + static_cast<std::ptrdiff_t>(matched);
    life.tokens.assign(text.begin(), split);
    life.prompt.assign(split, text.end());
    life.values = values_of(life.scope, life.tokens);
    check(life, "take");
    lives_.push_back(std::move(life));
}

void KvTorture::compute_more(Life& life) {
    const auto rows = static_cast<std::uint32_t>(1 + rng_.below(9));
    if (life.tokens.size() + rows > 2 * kTextMax) return truncate(life);
    while (life.prompt.size() < rows) {
        life.prompt.push_back(static_cast<engine::TokenId>(rng_.below(3)));
    }
    const auto at = static_cast<std::uint32_t>(life.tokens.size());
    if (!life.kv.grow_to(at + rows)) {
        ++counts_.out_of_pages;
        return check(life, "a refused grow_to");
    }
    for (std::uint32_t r = 0; r < rows; ++r) {
        life.values.push_back(next_value(life.scope, life.values, life.prompt[r]));
        life.tokens.push_back(life.prompt[r]);
        write_kv(kSmallPages, life.kv, at + r, life.values.back());
    }
    life.prompt.erase(life.prompt.begin(), life.prompt.begin() + rows);
    life.kv.advance(rows);
    check(life, "computing");
}

void KvTorture::put(Life& life, PrefixCache::Tail tail) {
    cache_.put(life.scope, life.tokens, life.kv, life.session, tail);
    check(life, "put");
}

void KvTorture::end_life(std::size_t index) {
    Life& life = lives_[index];
    if (!life.spilled && !one_in(4)) put(life, PrefixCache::Tail::keep);
    if (!life.shifted) {
        past_.emplace_back(life.scope, life.tokens);
        if (past_.size() > kPastMax) past_.erase(past_.begin());
    }
    std::swap(life, lives_.back());
    lives_.pop_back();
}

void KvTorture::fork(const Life& life) {
    if (lives_.size() >= kLivesMax) return check(life, "nothing");
    Life twin;
    twin.kv = life.kv.fork();
    twin.scope = life.scope;
    twin.tokens = life.tokens;
    twin.values = life.values;
    twin.shifted = life.shifted;
    ++counts_.forks;
    check(twin, "fork");
    lives_.push_back(std::move(twin));
}

void KvTorture::truncate(Life& life) {
    const std::size_t to = rng_.below(life.tokens.size() + 1);
    life.kv.truncate(static_cast<std::uint32_t>(to));
    life.tokens.resize(to);
    life.values.resize(to);
    life.prompt.clear();
    check(life, "truncate");
}

void KvTorture::shift(Life& life) {
    const std::uint32_t page = kSmallPages.page_tokens;
    const std::uint64_t pages = life.tokens.size() / page;
    if (pages < 2 || !one_in(3)) return check(life, "nothing");
    const auto keep = static_cast<std::uint32_t>(rng_.below(pages)) * page;
    const auto drop = static_cast<std::uint32_t>(1 + rng_.below(pages - keep / page)) * page;
    if (!life.kv.drop_middle(keep, drop)) return fail("drop_middle refused whole pages");
    const auto cut = [&](auto& list) {
        const auto from = list.begin() + keep;
        list.erase(from, from + drop);
    };
    cut(life.tokens);
    cut(life.values);
    life.prompt.clear();
    life.shifted = true;
    ++counts_.shifts;
    check(life, "drop_middle");
}

void KvTorture::swap_out(Life& life) {
    const std::uint32_t would_free = life.kv.pages_owned_alone();
    const std::uint32_t before = pool_.pages_available();
    base::Result<engine::SpillId> id = life.kv.swap_out(spill_);
    if (!id) return check(life, "a refused swap_out");
    life.spilled = *id;
    ++counts_.swaps_out;
    if (pool_.pages_available() != before + would_free) {
        fail(fmt::format("swapping out made {} pages available of {} promised",
                         pool_.pages_available() - before, would_free));
    }
}

void KvTorture::swap_in(std::size_t index) {
    Life& life = lives_[index];
    const base::Result<void> back = life.kv.swap_in(spill_, *life.spilled);
    if (back) {
        life.spilled.reset();
        ++counts_.swaps_in;
        return check(life, "swap_in");
    }
    if (back.error().code == base::Code::data_loss) {
        ++counts_.swaps_lost;
        end_life(index);
    }
}

void KvTorture::keep(const Life& life) {
    const std::uint32_t exact = life.kv.exact_tokens();
    if (exact == 0 || kept_.size() > 4 || !one_in(4)) return check(life, "nothing");
    const Tokens text(life.tokens.begin(),
                      life.tokens.begin() + static_cast<std::ptrdiff_t>(1 + rng_.below(exact)));
    const base::Duration ttl = std::chrono::seconds(rng_.below(20));
    const auto kept = cache_.keep(life.scope, text, ttl, life.kv);
    check(life, "keep");
    if (!kept) return;
    ++counts_.kept;
    if (!kept_.emplace(kept->id, Kept{life.scope, text, kept->expires}).second) {
        fail(fmt::format("two kept prefixes are called {}", kept->id));
    }
}

void KvTorture::drop_kept() {
    if (kept_.empty()) return;
    const auto at = std::next(kept_.begin(), static_cast<std::ptrdiff_t>(rng_.below(kept_.size())));
    const bool alive = at->second.expires > clock_.now();
    if (cache_.drop(at->second.scope.tenant + "x", at->first)) fail("dropped by another tenant");
    const bool dropped = cache_.drop(at->second.scope.tenant, at->first).has_value();
    if (alive != dropped) fail(fmt::format("{} dropped {}, alive {}", at->first, dropped, alive));
    kept_.erase(at);
}

void KvTorture::audit_kept() {
    for (const auto& [id, kept] : kept_) {
        const auto found = cache_.find(kept.scope.tenant, id);
        const bool alive = kept.expires > clock_.now();
        if (found.has_value() != alive) {
            return fail(fmt::format("{} found {}, alive {}", id, found.has_value(), alive));
        }
        if (!alive) continue;
        Tokens longer = kept.tokens;
        longer.push_back(0);
        if (*found != kept.tokens ||
            cache_.matched_tokens(kept.scope, longer) < kept.tokens.size()) {
            return fail(fmt::format("{} is not kept whole", id));
        }
    }
}

void KvTorture::audit_counts() {
    const engine::KvStats pages = pool_.stats();
    const bool sound =
        pages.pages_taken <= pages.pages_total && pages.pages_cached <= pages.pages_taken &&
        pool_.pages_available() == pages.pages_total - pages.pages_taken + pages.pages_cached;
    if (!sound) fail("the pool's counts contradict each other");
    if (counts_.operations % 64 != 0) return;
    const engine::PrefixCacheStats stats = cache_.stats();
    std::uint32_t by_tenant = 0;
    for (const auto& [name, count] : stats.pages_by_tenant) by_tenant += count;
    if (by_tenant != stats.pages || stats.pages < pages.pages_cached ||
        stats.pages_protected > stats.pages) {
        fail(fmt::format("{} pages cached, {} by tenant, {} by the pool", stats.pages, by_tenant,
                         pages.pages_cached));
    }
}

void KvTorture::check(const Life& life, const char* after) {
    if (life.kv.tokens() != life.values.size()) {
        return fail(fmt::format("after {}: {} positions, expected {}", after, life.kv.tokens(),
                                life.values.size()));
    }
    for (std::uint32_t p = 0; p < life.values.size(); ++p) {
        if (!holds_kv(kSmallPages, life.kv, p, life.values[p])) {
            return fail(fmt::format("after {}: position {} of {} holds other KV", after, p,
                                    life.values.size()));
        }
    }
    counts_.positions_compared += life.values.size();
}

void KvTorture::finish() {
    for (Life& life : lives_) {
        if (!life.spilled) check(life, "all");
    }
    lives_.clear();
    audit_kept();
    for (const auto& [id, kept] : kept_) static_cast<void>(cache_.drop(kept.scope.tenant, id));
    if (error_) return;
    if (spill_.bytes_total() != 0) fail("spilled bytes without an owner");
    if (pool_.pages_available() != pool_.pages_total()) return fail("pages without a holder");
    KvSequence all = pool_.sequence();
    if (!all.grow_to(pool_.pages_total() * kSmallPages.page_tokens)) fail("pages that stay cached");
    if (cache_.stats().pages != 0) fail("the cache has pages while one sequence has all");
}

void KvTorture::fail(std::string what) {
    if (!error_) {
        error_ = fmt::format("seed {}, operation {}: {}", seed_, counts_.operations, what);
    }
}

void KvTorture::read_from_outside() const {
    const engine::KvStats pages = pool_.stats();
    const engine::PrefixCacheStats stats = cache_.stats();
    std::size_t seen = pages.pages_total + stats.pages;
    for (const char* tenant : {"", "a", "b"}) {
        for (const engine::KeptPrefix& prefix : cache_.list(tenant)) {
            seen += cache_.find(tenant, prefix.id).has_value();
        }
    }
    DG_CHECK(seen > 0);
}

}  // namespace test
