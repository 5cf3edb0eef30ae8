// The index against plain evaluation over a list of entries, through random histories.

#include "memory/index/tenant_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "base/files/files.h"
#include "memory/index/keyword.h"
#include "memory/text/analyzer.h"
#include "support/seeds.h"
#include "unit/memory/index/changes.h"

namespace memory::index {
namespace {

using truth::Change;
using truth::RowId;

constexpr std::uint32_t kDims = 24;
constexpr UnixMs kNow = 1'003'000;

std::map<std::string, std::uint32_t> counts_of(const Entry& entry, std::uint32_t* length) {
    std::map<std::string, std::uint32_t> counts;
    *length = 0;
    for (const std::string* text : {&entry.content, &entry.speaker}) {
        for (const text::Term& term : text::analyze(*text)) {
            if (term.stop_word) continue;
            ++counts[term.text];
            ++*length;
        }
    }
    return counts;
}

/// BM25 as the book has it, over everything, in double.
std::map<RowId, double> exhaustive(const std::vector<Change>& live, const KeywordQuery& query) {
    std::map<std::string, double> weights;
    for (const auto& term : query.terms) weights[term.text] += term.weight;
    std::map<std::string, double> having;
    double length_sum = 0;
    std::vector<std::pair<std::map<std::string, std::uint32_t>, std::uint32_t>> entries;
    for (const Change& change : live) {
        std::uint32_t length = 0;
        auto counts = counts_of(change.entry, &length);
        for (const auto& [term, n] : counts) having[term] += 1;
        length_sum += length;
        entries.emplace_back(std::move(counts), length);
    }
    const double n = static_cast<double>(live.size()), average = std::max(length_sum / n, 1.);
    std::map<RowId, double> scores;
    for (std::size_t i = 0; i < live.size(); ++i) {
        double score = 0;
        for (const auto& [term, weight] : weights) {
            const auto found = entries[i].first.find(term);
            if (found == entries[i].first.end()) continue;
            const double tf = found->second, df = having[term];
            score += weight * std::log1p((n - df + .5) / (df + .5)) * tf * (kBm25K1 + 1) /
                     (tf + kBm25K1 * (1 - kBm25B + kBm25B * entries[i].second / average));
        }
        if (score > 0) scores[live[i].row] = score;
    }
    return scores;
}

bool lets_through(const Filter& f, const Entry& e) {
    const auto is = [](const std::string& wanted, const std::string& had) {
        return wanted.empty() || wanted == had;
    };
    if (!f.types.empty() && std::ranges::find(f.types, e.type) == f.types.end()) return false;
    if (!is(f.scope.user, e.scope.user) || !is(f.scope.agent, e.scope.agent) ||
        !is(f.scope.session, e.scope.session) || !is(f.scope.run, e.scope.run)) {
        return false;
    }
    if (f.created.from_unix_ms != 0 && e.created_unix_ms < f.created.from_unix_ms) return false;
    if (f.created.to_unix_ms != 0 && e.created_unix_ms >= f.created.to_unix_ms) return false;
    if (f.valid.to_unix_ms != 0 && e.valid_from_unix_ms >= f.valid.to_unix_ms) return false;
    if (f.valid.from_unix_ms != 0 && e.valid_to_unix_ms != 0 &&
        e.valid_to_unix_ms <= f.valid.from_unix_ms) {
        return false;
    }
    if (f.importance_min && e.importance < *f.importance_min) return false;
    if (f.pinned && *f.pinned != e.pinned) return false;
    if (!f.expired_too && e.expires_unix_ms != 0 && e.expires_unix_ms <= kNow && !e.pinned) {
        return false;
    }
    if (f.metadata && !matches(*f.metadata, e.metadata)) return false;
    const base::json::value* labels = e.metadata.if_contains("labels");
    if (labels == nullptr || (labels->is_array() && labels->get_array().empty())) return true;
    return std::ranges::any_of(f.labels, [&](const std::string& label) {
        if (labels->is_null()) return false;
        if (labels->is_string()) return std::string_view(labels->get_string()) == label;
        return std::ranges::any_of(labels->get_array(), [&](const base::json::value& v) {
            return std::string_view(v.get_string()) == label;
        });
    });
}

MetadataExpression random_expression(base::Rng& rng, int depth) {
    using Op = MetadataExpression::Op;
    MetadataExpression e;
    if (depth > 0 && rng.below(2) == 0) {
        e.op = static_cast<Op>(rng.below(3));
        for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) {
            e.children.push_back(random_expression(rng, depth - 1));
        }
        return e;
    }
    e.op = static_cast<Op>(3 + rng.below(8));
    static constexpr std::string_view kFields[] = {
        "topic", "priority", "big", "where.city", "where", "tags", "id", "none", "labels"};
    e.field = kFields[rng.below(std::size(kFields))];
    const auto value = [&]() -> base::json::value {
        switch (rng.below(7)) {
            case 0:
                return base::json::value("topic" + std::to_string(rng.below(7)));
            case 1:
                return base::json::value(static_cast<std::int64_t>(rng.below(9)) - 4);
            case 2:
                return base::json::value(rng.uniform() * 4);
            case 3:
                return base::json::value("c" + std::to_string(rng.below(3)));
            case 4:
                return base::json::value("tag" + std::to_string(rng.below(6)));
            case 5:
                return base::json::value((std::uint64_t{1} << 53) + rng.below(4));
            default:
                return base::json::value("id" + std::to_string(rng.below(4000)));
        }
    };
    for (std::uint64_t n = e.op == Op::one_of ? 1 + rng.below(4) : 1; n > 0; --n) {
        e.values.push_back(value());
    }
    return e;
}

Filter random_filter(base::Rng& rng) {
    Filter f;
    const auto sometimes = [&](std::uint64_t in) { return rng.below(in) == 0; };
    if (sometimes(3)) {
        for (std::uint64_t n = 1 + rng.below(2); n > 0; --n) {
            f.types.push_back(static_cast<MemoryType>(rng.below(kMemoryTypes)));
        }
    }
    if (sometimes(4)) f.scope.user = "user" + std::to_string(rng.below(5));
    if (sometimes(5)) f.scope.agent = "agent" + std::to_string(rng.below(3));
    if (sometimes(6)) f.scope.session = "session" + std::to_string(rng.below(12));
    if (sometimes(8)) f.scope.run = "run" + std::to_string(rng.below(90));
    const auto time = [&] {
        return sometimes(3) ? 0 : 1'000'000 + static_cast<UnixMs>(rng.below(5'000));
    };
    if (sometimes(4)) f.created = {time(), time()};
    if (sometimes(4)) f.valid = {time(), time()};
    if (sometimes(5)) f.importance_min = static_cast<float>(rng.uniform());
    if (sometimes(6)) f.pinned = sometimes(2);
    f.expired_too = sometimes(2);
    if (sometimes(2)) f.metadata = random_expression(rng, 3);
    for (std::uint64_t n = rng.below(3); n > 0; --n) {
        f.labels.push_back("label" + std::to_string(rng.below(4)));
    }
    return f;
}

KeywordQuery random_query(base::Rng& rng) {
    KeywordQuery query;
    for (const text::Term& term : text::analyze(test::words(rng, 1 + rng.below(6), 320))) {
        query.terms.push_back({term.text, .25f * static_cast<float>(1 + rng.below(8))});
    }
    return query;
}

/// What the index should answer, and does: filter, count, keywords, vectors, facts.
void expect_same(TenantIndex& index, const std::vector<Change>& live, base::Rng& rng) {
    const std::unique_ptr<Reader> reader = index.read();
    ASSERT_EQ(reader->live(), live.size());
    const Filter filter = random_filter(rng);
    std::map<RowId, const Change*> expected;
    for (const Change& change : live) {
        if (lets_through(filter, change.entry)) expected[change.row] = &change;
    }
    const std::unique_ptr<Selection> selection = *reader->select(filter, kNow);
    ASSERT_EQ(reader->count(*selection), expected.size());

    const KeywordQuery query = random_query(rng);
    std::vector<std::pair<double, RowId>> best;
    for (const auto& [row, score] : exhaustive(live, query)) {
        if (expected.contains(row)) best.emplace_back(-score, row);
    }
    std::ranges::sort(best);
    const std::vector<Scored> all = reader->keyword(query, *selection, 1'000'000);
    ASSERT_EQ(all.size(), best.size());
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < all.size(); ++i) {
        ASSERT_NEAR(all[i].score, -best[i].first, 1e-4 * -best[i].first);
        ASSERT_TRUE(expected.contains(reader->facts(all[i].slot).row));
        slots.push_back(all[i].slot);
    }
    // Pruned answers are the beginning of the whole one, bit by bit.
    for (const std::uint32_t limit : {1u, 3u, 10u, 40u}) {
        const std::vector<Scored> some = reader->keyword(query, *selection, limit);
        ASSERT_EQ(some.size(), std::min<std::size_t>(limit, all.size()));
        for (std::size_t i = 0; i < some.size(); ++i) {
            ASSERT_EQ(some[i].slot, all[i].slot);
            ASSERT_EQ(some[i].score, all[i].score);
        }
    }
    const std::vector<float> again = reader->keyword_of(query, slots);
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(again[i], all[i].score);

    const std::vector<float> asked = test::direction(rng, kDims);
    std::vector<double> cosines;
    std::map<RowId, double> cosine_of;
    for (const auto& [row, change] : expected) {
        if (change->embedding.empty()) continue;
        double dot = 0, a = 0, b = 0;
        for (std::uint32_t d = 0; d < kDims; ++d) {
            dot += double{asked[d]} * change->embedding[d];
            a += double{asked[d]} * asked[d];
            b += double{change->embedding[d]} * change->embedding[d];
        }
        cosines.push_back(cosine_of[row] = dot / std::sqrt(a * b));
    }
    std::ranges::sort(cosines, std::greater());
    const std::vector<Scored> nearest = *reader->vector(asked, *selection, 10, 1.f);
    ASSERT_EQ(nearest.size(), std::min<std::size_t>(10, cosines.size()));
    for (std::size_t i = 0; i < nearest.size(); ++i) {
        ASSERT_NEAR(nearest[i].score, cosines[i], 1e-3);
        const RowId row = reader->facts(nearest[i].slot).row;
        ASSERT_TRUE(cosine_of.contains(row));
        ASSERT_NEAR(nearest[i].score, cosine_of[row], 1e-3);
    }
    for (const Change& change : live) {
        if (!all.empty() && reader->facts(all[0].slot).row != change.row) continue;
        if (all.empty()) break;
        const SlotFacts facts = reader->facts(all[0].slot);
        EXPECT_EQ(facts.type, change.entry.type);
        EXPECT_EQ(facts.created_unix_ms, change.entry.created_unix_ms);
        EXPECT_EQ(facts.valid_from_unix_ms, change.entry.valid_from_unix_ms);
        EXPECT_EQ(facts.valid_to_unix_ms, change.entry.valid_to_unix_ms);
        EXPECT_EQ(facts.importance, change.entry.importance);
        EXPECT_EQ(facts.access_count, change.entry.access_count);
    }
}

void expect_sessions(TenantIndex& index, const std::vector<Change>& live) {
    const std::unique_ptr<Reader> reader = index.read();
    std::map<std::pair<std::string, std::string>, std::multiset<UnixMs>> sessions;
    for (const Change& change : live) {
        const Scope& scope = change.entry.scope;
        if (!scope.session.empty()) {
            sessions[{scope.session, scope.user}].insert(change.entry.created_unix_ms);
        }
    }
    std::size_t seen = 0;
    for (std::uint32_t id = 1; id < 2000; ++id) {
        const std::vector<Slot> slots = reader->session_slots(id);
        if (slots.empty()) continue;
        ++seen;
        // Walking from the middle both ways meets everybody, in order of time.
        const Slot middle = slots[slots.size() / 2];
        std::vector<Slot> walk = reader->before(middle, 1'000'000);
        walk.push_back(middle);
        for (const Slot slot : reader->after(middle, 1'000'000)) walk.push_back(slot);
        ASSERT_EQ(walk.size(), slots.size());
        for (std::size_t i = 1; i < walk.size(); ++i) {
            ASSERT_LE(reader->facts(walk[i - 1]).created_unix_ms,
                      reader->facts(walk[i]).created_unix_ms);
        }
        ASSERT_LE(reader->before(middle, 2).size(), 2u);
    }
    ASSERT_EQ(seen, sessions.size());
}

TEST(TenantIndex, AnswersLikeAPlainListThroughAnyHistory) {
    test::for_each_seed(12, [](base::Rng& rng) {
        const std::unique_ptr<TenantIndex> index = TenantIndex::make(kDims, "");
        test::History history(rng, kDims);
        for (int round = 0; round < 8; ++round) {
            std::vector<Change> changes;
            for (std::uint64_t n = rng.below(400); n > 0; --n) changes.push_back(history.next());
            ASSERT_TRUE(index->apply(changes));
            if (rng.below(2) == 0) index->settle();
            for (int i = 0; i < 6; ++i) {
                expect_same(*index, history.live(), rng);
                if (::testing::Test::HasFatalFailure()) return;
            }
            expect_sessions(*index, history.live());
        }
    });
}

TEST(TenantIndex, AChangeSeenBeforeIsNothing) {
    base::Rng rng(7);
    const std::unique_ptr<TenantIndex> index = TenantIndex::make(kDims, "");
    test::History history(rng, kDims);
    std::vector<Change> changes;
    for (int i = 0; i < 200; ++i) changes.push_back(history.next());
    ASSERT_TRUE(index->apply(std::span(changes).first(150)));
    ASSERT_TRUE(index->apply(changes));
    ASSERT_TRUE(index->apply(std::span(changes).subspan(20)));
    EXPECT_EQ(index->sequence(), changes.back().sequence);
    expect_same(*index, history.live(), rng);
}

TEST(TenantIndex, SpillsToAFileWithoutAName) {
    base::Result<base::TemporaryDir> dir = base::TemporaryDir::create("/tmp", "index-test");
    ASSERT_TRUE(dir);
    base::Rng rng(9);
    const std::unique_ptr<TenantIndex> index = TenantIndex::make(kDims, dir->path());
    test::History history(rng, kDims);
    for (int round = 0; round < 4; ++round) {
        std::vector<Change> changes;
        for (int i = 0; i < 1500; ++i) changes.push_back(history.next());
        ASSERT_TRUE(index->apply(changes));
        for (int i = 0; i < 5; ++i) expect_same(*index, history.live(), rng);
    }
}

TEST(TenantIndex, CompactsWhatIsGone) {
    base::Rng rng(11);
    const std::unique_ptr<TenantIndex> index = TenantIndex::make(kDims, "");
    std::vector<Change> live;
    truth::Sequence sequence = 0;
    std::vector<Change> changes;
    for (int i = 0; i < 4000; ++i) {
        Change change{i + 1, ++sequence, false, test::random_entry(rng),
                      test::direction(rng, kDims)};
        changes.push_back(change);
        if (i % 4 == 0) live.push_back(change);
    }
    ASSERT_TRUE(index->apply(changes));
    const std::uint64_t before = index->bytes();
    std::vector<Change> gone;
    for (int i = 0; i < 4000; ++i) {
        if (i % 4 != 0) gone.push_back({i + 1, ++sequence, true, {}, {}});
    }
    ASSERT_TRUE(index->apply(gone));
    index->settle();
    EXPECT_LT(index->bytes(), before * 2 / 3);
    for (int i = 0; i < 20; ++i) expect_same(*index, live, rng);
    expect_sessions(*index, live);
}

/// Entries that go, many at once, so that the index is compacted; `row` and `sequence` go on.
std::vector<Change> removals(std::int64_t from, std::int64_t to, truth::Sequence& sequence) {
    std::vector<Change> gone;
    for (std::int64_t row = from; row <= to; ++row) gone.push_back({row, ++sequence, true, {}, {}});
    return gone;
}

TEST(TenantIndex, WritersGoOnWhileItIsCompacted) {
    base::Rng rng(13);
    const std::unique_ptr<TenantIndex> index = TenantIndex::make(kDims, "");
    truth::Sequence sequence = 0;
    std::map<std::int64_t, Change> live;
    const auto write = [&](std::int64_t row) {
        Change change{row, ++sequence, false, test::random_entry(rng), test::direction(rng, kDims)};
        live.insert_or_assign(row, change);
        return change;
    };
    constexpr std::int64_t kGone = 9000, kLast = 24'000;
    std::vector<Change> changes;
    for (std::int64_t row = 1; row <= kLast; ++row) changes.push_back(write(row));
    ASSERT_TRUE(index->apply(changes));
    index->settle();
    ASSERT_TRUE(index->apply(removals(1, kGone, sequence)));
    const std::uint64_t smaller = index->bytes() * 4 / 5;
    for (std::int64_t row = 1; row <= kGone; ++row) live.erase(row);
    // New ones, changed ones, removed ones, until it is smaller.
    int written = 0;
    for (std::int64_t row = kLast; index->bytes() >= smaller && written < 100'000; ++written) {
        std::vector<Change> some = {write(++row)};
        const auto other = kGone + 1 + static_cast<std::int64_t>(rng.below(14'000));
        if (rng.below(2) == 0) {
            some.push_back(write(other));
        } else {
            some.push_back({other, ++sequence, true, {}, {}});
            live.erase(other);
        }
        ASSERT_TRUE(index->apply(some));
    }
    EXPECT_GT(written, 0) << "the first write waited for the compaction";
    index->settle();
    EXPECT_LT(index->bytes(), smaller);
    std::vector<Change> list;
    for (const auto& [row, change] : live) list.push_back(change);
    for (int i = 0; i < 10; ++i) expect_same(*index, list, rng);
    expect_sessions(*index, list);
}

/// The descriptor of the one file without a name in `dir`; -1: none.
int nameless_file(const std::string& dir) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code error;
        const auto to = std::filesystem::read_symlink(entry.path(), error);
        if (!error && to.string().starts_with(dir + "/")) return std::stoi(entry.path().filename());
    }
    return -1;
}

TEST(TenantIndex, AFileCutOffWhileItIsReadIsAnErrorAndNoSignal) {
    base::Result<base::TemporaryDir> dir = base::TemporaryDir::create("/tmp", "index-test");
    ASSERT_TRUE(dir);
    test::for_each_seed(8, [&](base::Rng& rng) {
        const std::unique_ptr<TenantIndex> index = TenantIndex::make(kDims, dir->path());
        test::History history(rng, kDims);
        std::vector<Change> changes;
        for (int i = 0; i < 3000; ++i) changes.push_back(history.next());
        ASSERT_TRUE(index->apply(changes));
        index->settle();
        ASSERT_TRUE(index->sound());
        const int file = nameless_file(dir->path());
        ASSERT_GE(file, 0);
        struct stat now {};
        ASSERT_EQ(::fstat(file, &now), 0);
        const auto left = static_cast<off_t>(rng.below(static_cast<std::uint64_t>(now.st_size)));
        {
            const std::unique_ptr<Reader> reader = index->read();
            ASSERT_EQ(::ftruncate(file, left), 0);
            const auto all = *reader->select({}, kNow);
            static_cast<void>(reader->keyword({{{"tea", 1.f}}}, *all, 100));
            static_cast<void>(reader->vector(test::direction(rng, kDims), *all, 50, 1.f));
            std::vector<Slot> slots(reader->live());
            std::iota(slots.begin(), slots.end(), 0);
            static_cast<void>(reader->keyword_of({{{"tea", 1.f}}}, slots));
            static_cast<void>(reader->vector_of(test::direction(rng, kDims), slots));
        }
        ASSERT_FALSE(index->sound());
        EXPECT_EQ(index->sound().error().code, base::Code::data_loss);
        // It grows again with holes where it was cut: still no answer to trust.
        changes = {history.next()};
        const auto applied = index->apply(changes);
        ASSERT_FALSE(applied);
        EXPECT_EQ(applied.error().code, base::Code::data_loss);
    });
}

TEST(TenantIndex, RefusesVectorsThatAreNone) {
    const std::unique_ptr<TenantIndex> index = TenantIndex::make(4, "");
    Change change;
    change.row = change.sequence = 1;
    change.entry.content = "zero";
    change.embedding = {0, 0, 0, 0};
    Change other = change;
    other.row = other.sequence = 2;
    other.embedding = {1, std::numeric_limits<float>::quiet_NaN(), 0, 0};
    Change third = change;
    third.row = third.sequence = 3;
    third.embedding = {1, 0, 0};
    ASSERT_TRUE(index->apply(std::vector<Change>{change, other, third}));
    const std::unique_ptr<Reader> reader = index->read();
    const auto all = *reader->select({}, kNow);
    EXPECT_EQ(reader->count(*all), 3u);
    const std::vector<float> query = {1, 0, 0, 0}, zero(4), short_one(3),
                             infinite = {1, INFINITY, 0, 0};
    EXPECT_TRUE(reader->vector(query, *all, 10, .99f)->empty());
    EXPECT_TRUE(reader->vector(zero, *all, 10, .99f)->empty());
    EXPECT_EQ(reader->vector(short_one, *all, 10, .99f).error().code, base::Code::invalid_argument);
    EXPECT_EQ(reader->vector(infinite, *all, 10, .99f).error().code, base::Code::invalid_argument);
    EXPECT_EQ(reader->keyword({{{"zero", 1.f}}}, *all, 10).size(), 3u);
    EXPECT_EQ(reader->vector_of(query, std::vector<Slot>{0, 1, 2}), std::vector<float>(3));
}

TEST(TenantIndex, EqualSessionNamesOfTwoUsersAreTwoSessions) {
    const std::unique_ptr<TenantIndex> index = TenantIndex::make(0, "");
    std::vector<Change> changes(2);
    for (int i = 0; i < 2; ++i) {
        changes[i].row = changes[i].sequence = i + 1;
        changes[i].entry.content = "hello";
        changes[i].entry.scope = {"t", i == 0 ? "ann" : "bob", "", "s", ""};
    }
    ASSERT_TRUE(index->apply(changes));
    const std::unique_ptr<Reader> reader = index->read();
    EXPECT_NE(reader->facts(0).session, reader->facts(1).session);
    EXPECT_TRUE(reader->after(0, 10).empty());
    Filter both;
    both.scope.session = "s";
    EXPECT_EQ(reader->count(**reader->select(both, kNow)), 2u);
}

/// Of the files without a name under `dir` that this process has open.
std::uint64_t occurrences_in_spill(const std::string& dir, const std::string& bytes) {
    std::uint64_t count = 0;
    for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code none;
        if (!std::filesystem::read_symlink(fd, none).string().starts_with(dir)) continue;
        const std::string text = base::read_file(fd.path().string(), 1u << 30).value_or("");
        for (auto at = text.find(bytes); at != std::string::npos; at = text.find(bytes, at + 1)) {
            ++count;
        }
    }
    return count;
}

TEST(TenantIndex, APurgeLeavesNoTraceInTheFileAndFindsTheSame) {
    test::for_each_seed(6, [](base::Rng& rng) {
        const auto dir = base::TemporaryDir::create("/tmp", "dougong-purge-");
        ASSERT_TRUE(dir);
        const auto index = TenantIndex::make(kDims, dir->path());
        std::vector<Change> all;
        for (RowId row = 1; row <= 3'000; ++row) {
            Change change{.row = row, .sequence = row, .entry = test::random_entry(rng)};
            change.entry.metadata["note"] = row % 3 == 0 ? "canary-gone" : "canary-kept";
            change.embedding = test::direction(rng, kDims);
            all.push_back(std::move(change));
        }
        ASSERT_TRUE(index->apply(all));
        std::vector<Change> gone;
        for (RowId row = 3; row <= 3'000; row += 3) {
            gone.push_back({.row = row, .sequence = 3'000 + row, .gone = true});
        }
        ASSERT_TRUE(index->apply(gone));
        const auto answers = [&] {
            const auto reader = index->read();
            const auto selection = *reader->select({}, kNow);
            std::map<RowId, double> out;
            base::Rng chance(7);
            KeywordQuery query;
            for (const char* word : {"w0x", "w3x", "w20x"}) query.terms.push_back({word, 1.f});
            const std::vector<float> asked = test::direction(chance, kDims);
            for (const auto& s : reader->keyword(query, *selection, 3'000)) {
                out[reader->facts(s.slot).row] += double{s.score};
            }
            const auto near = reader->vector(asked, *selection, 3'000, 1.f);
            for (const auto& s : *near) {
                out[reader->facts(s.slot).row] += double{s.score};
            }
            return out;
        };
        const auto before = answers();
        EXPECT_GT(before.size(), 1'000u);  // those that are over are not found
        EXPECT_GE(occurrences_in_spill(dir->path(), "canary-gone"), 1'000u);
        ASSERT_TRUE(index->purge());
        EXPECT_EQ(occurrences_in_spill(dir->path(), "canary-gone"), 0u);
        EXPECT_EQ(occurrences_in_spill(dir->path(), "canary-kept"), 2'000u);
        const auto after = answers();
        ASSERT_EQ(after.size(), before.size());
        // Terms have other numbers by now, and sums another order.
        for (const auto& [row, score] : before) EXPECT_NEAR(after.at(row), score, 1e-4);
    });
}

}  // namespace
}  // namespace memory::index
