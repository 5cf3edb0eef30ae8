// The fold against a model that asks, moment by moment, who claims it.
#include "memory/facts/timeline.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <optional>
#include <set>

#include "support/seeds.h"

namespace memory::facts {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr UnixMs kAlways = 1'000'000;

struct Builder {
    std::vector<Assertion> said;

    Assertion& add(std::string object, UnixMs from, UnixMs to = 0) {
        Assertion one;
        one.id = "fact-" + std::to_string(1000 + said.size());
        one.subject = "ann";
        one.predicate = "lives_in";
        one.object = std::move(object);
        one.valid_from_unix_ms = from;
        one.valid_to_unix_ms = to;
        one.recorded_unix_ms = static_cast<UnixMs>(100 + said.size());
        said.push_back(one);
        return said.back();
    }
    Assertion& end(std::string object, UnixMs from) {
        Assertion& one = add(std::move(object), from);
        one.ends = true;
        return one;
    }
};

std::string shown(const Fact& fact) {
    return fact.said.object + " " + std::to_string(fact.from_unix_ms) + ".." +
           (fact.to_unix_ms == 0 ? "" : std::to_string(fact.to_unix_ms));
}

std::vector<std::string> shown(const Timeline& timeline) {
    std::vector<std::string> out;
    for (const Fact& fact : timeline.facts) out.push_back(shown(fact));
    return out;
}

TEST(Fold, ANewerValueClosesTheOlder) {
    Builder b;
    b.add("paris", 10);
    b.add("rome", 20);
    const Timeline timeline = fold(b.said, kAlways);
    EXPECT_THAT(shown(timeline), ElementsAre("paris 10..20", "rome 20.."));
    EXPECT_EQ(timeline.facts[0].superseded_by, b.said[1].id);
    EXPECT_EQ(timeline.facts[1].superseded_by, "");
    EXPECT_THAT(timeline.contradictions, IsEmpty());
}

TEST(Fold, AnOlderValueThatArrivesLateTakesItsPlace) {
    Builder b;
    b.add("rome", 20);
    b.add("paris", 10);
    EXPECT_THAT(shown(fold(b.said, kAlways)), ElementsAre("paris 10..20", "rome 20.."));
    EXPECT_THAT(shown(fold(b.said, 100)), ElementsAre("rome 20.."));  // as known before
}

TEST(Fold, WithoutAStartItBeginsWhenItWasRecorded) {
    Builder b;
    b.add("paris", 0);
    EXPECT_THAT(shown(fold(b.said, kAlways)), ElementsAre("paris 100.."));
}

TEST(Fold, ACorrectionCountsAndIsListed) {
    Builder b;
    b.add("paris", 10);
    b.add("rome", 10);
    b.add("oslo", 30);
    const Timeline timeline = fold(b.said, kAlways);
    EXPECT_THAT(shown(timeline), ElementsAre("rome 10..30", "oslo 30.."));
    EXPECT_THAT(timeline.contradictions,
                ElementsAre(Contradiction{b.said[0].id, b.said[1].id, 10, 30}));
    EXPECT_THAT(shown(fold(b.said, 100)), ElementsAre("paris 10.."));
}

TEST(Fold, WhatWasTakenBackNeverWas) {
    Builder b;
    b.add("paris", 10);
    b.add("rome", 20).retracted_unix_ms = 150;
    EXPECT_THAT(shown(fold(b.said, 149)), ElementsAre("paris 10..20", "rome 20.."));
    EXPECT_THAT(shown(fold(b.said, 150)), ElementsAre("paris 10.."));
}

TEST(Fold, AnEndClosesItsObjectAlone) {
    Builder b;
    b.add("paris", 10);
    b.end("paris", 15);
    b.end("rome", 12);
    const Timeline timeline = fold(b.said, kAlways);
    EXPECT_THAT(shown(timeline), ElementsAre("paris 10..15"));
    EXPECT_EQ(timeline.facts[0].superseded_by, b.said[1].id);
    b.end("", 13);
    EXPECT_THAT(shown(fold(b.said, kAlways)), ElementsAre("paris 10..13"));
}

TEST(Fold, AnEndThatArrivesFirstStillEnds) {
    Builder b;
    b.end("paris", 15);
    b.add("paris", 10);
    EXPECT_THAT(shown(fold(b.said, kAlways)), ElementsAre("paris 10..15"));
    b.add("paris", 20);
    EXPECT_THAT(shown(fold(b.said, kAlways)), ElementsAre("paris 10..15", "paris 20.."));
}

TEST(Fold, AnIntervalEndsByItself) {
    Builder b;
    b.add("paris", 10, 20);
    b.add("rome", 30);
    EXPECT_THAT(shown(fold(b.said, kAlways)), ElementsAre("paris 10..20", "rome 30.."));
    b.add("oslo", 15, 35);  // recorded last: counts wherever it claims to
    const Timeline timeline = fold(b.said, kAlways);
    EXPECT_THAT(shown(timeline), ElementsAre("paris 10..15", "oslo 15..35", "rome 35.."));
    EXPECT_THAT(timeline.contradictions,
                ElementsAre(Contradiction{b.said[0].id, b.said[2].id, 15, 20},
                            Contradiction{b.said[1].id, b.said[2].id, 30, 35}));
}

TEST(Fold, ALaterIntervalOfTheSameObjectSaysThatItIsOver) {
    Builder b;
    b.add("paris", 10);
    b.add("paris", 10, 20);
    EXPECT_THAT(shown(fold(b.said, kAlways)), ElementsAre("paris 10..20"));
    std::swap(b.said[0].recorded_unix_ms, b.said[1].recorded_unix_ms);
    EXPECT_THAT(shown(fold(b.said, kAlways)), ElementsAre("paris 10.."));
}

TEST(Fold, TheSameValueAgainExtendsAndKeepsAllSources) {
    Builder b;
    b.add("paris", 10).sources = {{.source = "mem-1", .begin = 0, .end = 4}};
    Assertion& again = b.add("paris", 20);
    again.sources = {{.source = "mem-2"}};
    again.confidence = .5f;
    b.said[0].confidence = .25f;
    const Timeline timeline = fold(b.said, kAlways);
    EXPECT_THAT(shown(timeline), ElementsAre("paris 10.."));
    EXPECT_EQ(timeline.facts[0].said.id, b.said[0].id);
    EXPECT_EQ(timeline.facts[0].said.confidence, .5f);
    EXPECT_THAT(timeline.facts[0].said.sources,
                ElementsAre(b.said[0].sources[0], b.said[1].sources[0]));
}

TEST(Fold, ManyValuesStandBesideEachOther) {
    Builder b;
    b.add("tea", 10);
    b.add("rain", 20);
    b.end("tea", 30);
    b.add("tea", 40);
    for (Assertion& one : b.said) one.cardinality = Cardinality::many;
    const Timeline timeline = fold(b.said, kAlways);
    EXPECT_THAT(shown(timeline), ElementsAre("tea 10..30", "rain 20..", "tea 40.."));
    EXPECT_EQ(at(timeline, 25).size(), 2u);
    EXPECT_EQ(at(timeline, 30).size(), 1u);
    EXPECT_EQ(at(timeline, 9).size(), 0u);
}

TEST(Fold, OneValueSaidTenThousandTimesIsOneFact) {
    Builder b;
    for (int i = 0; i < 10'000; ++i) b.add("tea", 10 + i).cardinality = Cardinality::many;
    EXPECT_THAT(shown(fold(b.said, kAlways)), ElementsAre("tea 10.."));
}

// --- against the model -------------------------------------------------------------------------

bool later(const Assertion& a, const Assertion& b) {
    return std::pair(a.recorded_unix_ms, a.id) > std::pair(b.recorded_unix_ms, b.id);
}

/// The rules of timeline.h, asked of one assertion at one moment.
bool claims(const Assertion& one, const std::vector<Assertion>& known, UnixMs moment) {
    const bool open = one.valid_to_unix_ms == 0;
    if (one.ends || moment < one.valid_from_unix_ms) return false;
    if (!open && moment >= one.valid_to_unix_ms) return false;
    for (const Assertion& other : known) {
        const bool same = other.object == one.object;
        const UnixMs from = other.valid_from_unix_ms;
        if (other.ends && (same || other.object.empty()) && from <= moment) {
            if (from > one.valid_from_unix_ms && (open || later(other, one))) return false;
            if (from == one.valid_from_unix_ms && later(other, one)) return false;
        }
        if (other.ends || !open) continue;
        if (!same && one.cardinality == Cardinality::one && from > one.valid_from_unix_ms &&
            from <= moment) {
            return false;
        }
        if (same && other.valid_to_unix_ms > one.valid_from_unix_ms &&
            other.valid_to_unix_ms <= moment && later(other, one)) {
            return false;
        }
    }
    return true;
}

std::set<std::string> model_at(const std::vector<Assertion>& said, UnixMs moment, UnixMs known_at) {
    std::vector<Assertion> known;
    for (const Assertion& one : said) {
        const bool unsaid = one.retracted_unix_ms != 0 && one.retracted_unix_ms <= known_at;
        if (one.recorded_unix_ms <= known_at && !unsaid) known.push_back(one);
    }
    std::set<std::string> all;
    const Assertion* counts = nullptr;
    for (const Assertion& one : known) {
        if (!claims(one, known, moment)) continue;
        all.insert(one.object);
        if (counts == nullptr || later(one, *counts)) counts = &one;
    }
    if (counts != nullptr && counts->cardinality == Cardinality::one) return {counts->object};
    return all;
}

std::vector<Assertion> random_history(base::Rng& rng) {
    Builder b;
    const auto cardinality = rng.below(3) == 0 ? Cardinality::many : Cardinality::one;
    const std::size_t count = 1 + rng.below(12);
    for (std::size_t i = 0; i < count; ++i) {
        const auto from = static_cast<UnixMs>(1 + rng.below(20));
        Assertion& one = b.add(std::string(1, static_cast<char>('a' + rng.below(4))), from);
        one.recorded_unix_ms = static_cast<UnixMs>(1 + rng.below(30));
        one.cardinality = cardinality;
        switch (rng.below(6)) {
            case 0:
                one.valid_to_unix_ms = from + static_cast<UnixMs>(rng.below(8));
                break;
            case 1:
                one.ends = true;
                break;
            case 2:
                one.retracted_unix_ms = one.recorded_unix_ms + static_cast<UnixMs>(rng.below(9));
                break;
            default:
                break;
        }
        if (one.ends && rng.below(4) == 0) one.object.clear();
    }
    return b.said;
}

TEST(FoldProperty, AgreesWithTheModelInBothTimes) {
    test::for_each_seed(600, [](base::Rng& rng) {
        const std::vector<Assertion> said = random_history(rng);
        for (UnixMs known = 0; known <= 40; known += 4) {
            const Timeline timeline = fold(said, known);
            for (UnixMs moment = 0; moment <= 30; ++moment) {
                std::set<std::string> objects;
                for (const Fact& fact : at(timeline, moment)) objects.insert(fact.said.object);
                ASSERT_EQ(objects, model_at(said, moment, known)) << moment << " known " << known;
                ASSERT_EQ(objects.size(), at(timeline, moment).size());  // nothing twice
            }
        }
    });
}

TEST(FoldProperty, AnyOrderOfArrivalGivesTheSameTimeline) {
    test::for_each_seed(500, [](base::Rng& rng) {
        std::vector<Assertion> said = random_history(rng);
        const Timeline expected = fold(said, kAlways);
        for (int i = 0; i < 5; ++i) {
            for (std::size_t k = said.size(); k > 1; --k)
                std::swap(said[k - 1], said[rng.below(k)]);
            const Timeline got = fold(said, kAlways);
            ASSERT_EQ(got.facts, expected.facts);
            ASSERT_EQ(got.contradictions, expected.contradictions);
        }
    });
}

TEST(FoldProperty, CardinalityOneNeverHasTwoAtAMoment) {
    test::for_each_seed(1'000, [](base::Rng& rng) {
        std::vector<Assertion> said = random_history(rng);
        for (Assertion& one : said) one.cardinality = Cardinality::one;
        const Timeline timeline = fold(said, kAlways);
        for (std::size_t i = 1; i < timeline.facts.size(); ++i) {
            const Fact& before = timeline.facts[i - 1];
            ASSERT_NE(before.to_unix_ms, 0);
            ASSERT_LE(before.to_unix_ms, timeline.facts[i].from_unix_ms);
        }
    });
}

TEST(FoldProperty, ContradictionsAreTheClaimsThatDoNotCount) {
    test::for_each_seed(1'000, [](base::Rng& rng) {
        std::vector<Assertion> said = random_history(rng);
        for (Assertion& one : said) one.cardinality = Cardinality::one;
        const Timeline timeline = fold(said, kAlways);
        std::vector<Assertion> known;
        for (const Assertion& one : said) {
            if (one.retracted_unix_ms == 0) known.push_back(one);
        }
        for (UnixMs moment = 0; moment <= 30; ++moment) {
            std::set<std::pair<FactId, FactId>> expected, listed;
            const auto counts = at(timeline, moment);
            for (const Contradiction& met : timeline.contradictions) {
                const bool open = met.to_unix_ms == 0 || moment < met.to_unix_ms;
                if (met.from_unix_ms <= moment && open) listed.insert({met.first, met.second});
            }
            const Assertion* last = nullptr;
            for (const Assertion& one : known) {
                if (claims(one, known, moment) && (last == nullptr || later(one, *last))) {
                    last = &one;
                }
            }
            for (const Assertion& one : known) {
                if (claims(one, known, moment) && one.object != last->object) {
                    expected.insert({one.id, last->id});
                }
            }
            ASSERT_EQ(listed, expected) << moment;
        }
    });
}

}  // namespace
}  // namespace memory::facts
