// Changed facts, told in any order: what holds now and what held then.
#include <gmock/gmock.h>

#include <map>

#include "memory/facts/extract.h"
#include "memory/facts/timeline.h"
#include "support/changing_world.h"
#include "support/seeds.h"

namespace memory::facts {
namespace {

constexpr UnixMs kDayMs = 86'400'000;

std::string value(const std::vector<Assertion>& said, UnixMs at_ms, UnixMs known) {
    const auto holding = at(fold(said, known), at_ms);
    return holding.empty() ? std::string() : holding.front().said.object;
}

/// Every day on which something changes, the day after and the day before the next.
void expect_known(const test::Slot& slot, const std::vector<Assertion>& said,
                  const test::World& world) {
    for (const test::Update& update : slot.updates) {
        for (const std::int64_t day : {update.day - 1, update.day + 1}) {
            ASSERT_EQ(value(said, day * kDayMs + kDayMs / 2, world.arrived_all), slot.value_on(day))
                << slot.subject << " " << slot.predicate << " day " << day;
        }
    }
    ASSERT_EQ(value(said, world.now, world.arrived_all), slot.value_on(world.now / kDayMs));
}

TEST(ChangingWorld, TemplateSentencesInAnyOrderGiveEveryDayItsValue) {
    test::for_each_seed(10, [](base::Rng& rng) {
        const test::World world = test::make_world(rng, 40);
        int ids = 0;
        for (const test::Slot& slot : world.slots) {
            std::map<std::string, std::vector<Assertion>> known;
            for (const test::Update& update : slot.updates) {
                std::vector<const test::Form*> fitting;
                for (const test::Form& form : test::forms()) {
                    if (form.telling == test::Telling::template_form &&
                        form.predicate == slot.predicate && form.ends == update.object.empty()) {
                        fitting.push_back(&form);
                    }
                }
                const test::Form& form = *fitting[rng.below(fitting.size())];
                const std::string text = test::tell(slot, update, form, rng);
                const auto found = extract(text, {.said_at_unix_ms = update.told_at});
                ASSERT_EQ(found.size(), 1u) << text;
                Assertion said = found[0].assertion;
                said.id = "fact-" + std::to_string(1'000'000 + ids++);
                said.recorded_unix_ms = update.arrived_at;
                if (update.wrong) said.retracted_unix_ms = world.arrived_all;
                known[said.subject + "\n" + said.predicate].push_back(said);
            }
            expect_known(slot, known[slot.subject + "\n" + slot.predicate], world);
        }
    });
}

/// Right of those told, and read otherwise than meant where nothing was right.
std::pair<double, double> read_of(test::Telling telling) {
    double told = 0, right = 0, wrong = 0;
    test::for_each_seed(3, [&](base::Rng& rng) {
        const test::World world = test::make_world(rng, 60);
        for (const test::Slot& slot : world.slots) {
            for (const test::Update& update : slot.updates) {
                for (const test::Form& form : test::forms()) {
                    if (form.telling != telling || form.predicate != slot.predicate ||
                        form.ends != update.object.empty()) {
                        continue;
                    }
                    ++told;
                    const std::string object = form.ends ? update.before : update.object;
                    bool fits = false, other = false;
                    for (const auto& one : extract(test::tell(slot, update, form, rng),
                                                   {.said_at_unix_ms = update.told_at})) {
                        const Assertion& said = one.assertion;
                        if (said.subject != slot.subject || said.predicate != slot.predicate) {
                            continue;
                        }
                        (said.object == object && one.retracts == form.ends ? fits : other) = true;
                    }
                    right += fits;
                    wrong += other;
                }
            }
        }
    });
    return {right / told, wrong / told};
}

TEST(ChangingWorld, SentencesThatNoRuleWasTunedWithAreReadAsMeantOrNotAtAll) {
    const auto [right, wrong] = read_of(test::Telling::held_out);
    EXPECT_GE(right, .9);
    EXPECT_EQ(wrong, 0.);
}

TEST(ChangingWorld, SentencesThatRulesWereTunedWithAreReadAsMeantOrNotAtAll) {
    const auto [right, wrong] = read_of(test::Telling::tuning);
    EXPECT_GE(right, .85);
    EXPECT_EQ(wrong, 0.);
}

}  // namespace
}  // namespace memory::facts
