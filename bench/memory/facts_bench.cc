// A5: are changed facts known, now and as of any day? A world of slots with 1-20 updates that
// arrive in any order, some told wrongly and taken back; told directly, in template sentences and
// in paraphrases, half of which no rule was tuned with.
//   bench_memory_facts [slots=10000] [seed=5]      prints JSON
//   bench_memory_facts --locomo FILE               each fact that is read there, to be looked at
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "locomo.h"
#include "memory/facts/extract.h"
#include "memory/facts/timeline.h"
#include "support/changing_world.h"

namespace {

using memory::facts::Assertion;
using test::Form;
using test::Slot;
using test::Telling;
using test::Update;
using test::World;

constexpr std::int64_t kDayMs = 86'400'000;

struct Score {
    std::uint64_t right = 0, asked = 0;
    void count(bool ok) {
        right += ok;
        ++asked;
    }
    double share() const {
        return asked == 0 ? 1 : static_cast<double>(right) / static_cast<double>(asked);
    }
};

struct Scores {
    Score current, as_of, as_known;
    std::string json() const {
        return fmt::format(
            R"({{"current": {:.4f}, "as_of": {:.4f}, "as_known_then": {:.4f}, "asked": {}}})",
            current.share(), as_of.share(), as_known.share(),
            current.asked + as_of.asked + as_known.asked);
    }
};

std::string value(const std::vector<Assertion>& said, std::int64_t at, std::int64_t known) {
    const auto holding = memory::facts::at(memory::facts::fold(said, known), at);
    return holding.empty() ? std::string() : holding.front().said.object;
}

/// Asks for today, for random days, and for random days as known when half had arrived.
void ask(const Slot& slot, const World& world, const std::vector<Assertion>& said, base::Rng& rng,
         Scores& scores) {
    const std::int64_t today = world.now / kDayMs;
    scores.current.count(value(said, world.now, world.arrived_all) == slot.value_on(today));
    for (int i = 0; i < 3; ++i) {
        const Update& update = slot.updates[rng.below(slot.updates.size())];
        const std::int64_t day = update.day + 1 + static_cast<std::int64_t>(rng.below(2));
        const std::int64_t at = day * kDayMs + kDayMs / 2;
        scores.as_of.count(value(said, at, world.arrived_all) == slot.value_on(day));
        // What was wrong stood until it was taken back; such slots are asked at the end only.
        const bool clean =
            std::ranges::none_of(slot.updates, [](const Update& u) { return u.wrong; });
        const std::int64_t known = update.arrived_at;
        if (clean) scores.as_known.count(value(said, at, known) == slot.value_on(day, known));
    }
}

Assertion direct(const Slot& slot, const Update& update) {
    Assertion said;
    said.subject = slot.subject;
    said.predicate = slot.predicate;
    said.ends = update.object.empty();
    said.object = said.ends ? update.before : update.object;
    said.valid_from_unix_ms = update.day * kDayMs;
    return said;
}

void record(Assertion& said, const Update& update, const World& world, std::size_t& ids) {
    said.id = fmt::format("fact-{:010}", ids++);
    said.recorded_unix_ms = update.arrived_at;
    if (update.wrong) said.retracted_unix_ms = world.arrived_all;  // its source was deleted
}

Scores run_direct(const World& world, base::Rng& rng) {
    Scores scores;
    std::size_t ids = 0;
    for (const Slot& slot : world.slots) {
        std::vector<Assertion> said;
        for (const Update& update : slot.updates) {
            said.push_back(direct(slot, update));
            record(said.back(), update, world, ids);
        }
        ask(slot, world, said, rng, scores);
    }
    return scores;
}

/// What became of the sentences of one form.
struct FormScore {
    std::uint64_t told = 0, right = 0, wrong = 0;
};

bool same_day(const Assertion& said, const Update& update) {
    return said.valid_from_unix_ms / kDayMs == update.day;
}

Scores run_told(const World& world, Telling telling, base::Rng& rng,
                std::map<std::string_view, FormScore>& by_form) {
    Scores scores;
    std::size_t ids = 0;
    std::map<std::pair<std::string_view, bool>, std::vector<const Form*>> kinds;
    for (const Form& form : test::forms()) {
        if (form.telling == telling) kinds[{form.predicate, form.ends}].push_back(&form);
    }
    for (const Slot& slot : world.slots) {
        std::map<std::string, std::vector<Assertion>> known;  // by subject and predicate
        for (const Update& update : slot.updates) {
            const auto& forms = kinds.at({slot.predicate, update.object.empty()});
            const Form& form = *forms[rng.below(forms.size())];
            FormScore& score = by_form[form.text];
            ++score.told;
            const std::string text = test::tell(slot, update, form, rng);
            const Assertion expected = direct(slot, update);
            bool right = false, wrong = false;
            for (auto& one : memory::facts::extract(text, {.said_at_unix_ms = update.told_at})) {
                Assertion& said = one.assertion;
                record(said, update, world, ids);
                const bool fits = said.subject == expected.subject &&
                                  said.predicate == expected.predicate &&
                                  said.object == expected.object && said.ends == expected.ends &&
                                  same_day(said, update);
                (fits ? right : wrong) = true;
                known[said.subject + "\n" + said.predicate].push_back(said);
            }
            score.right += right;
            score.wrong += wrong;
        }
        ask(slot, world, known[slot.subject + "\n" + slot.predicate], rng, scores);
    }
    return scores;
}

/// Of what is held out, the sum alone.
void print_forms(const char* name, const std::map<std::string_view, FormScore>& forms,
                 bool each = true) {
    FormScore all;
    for (const auto& [text, score] : forms) {
        all.told += score.told;
        all.right += score.right;
        all.wrong += score.wrong;
    }
    const auto told = static_cast<double>(all.told);
    fmt::print(
        " \"{}_sentences\": {{\"told\": {}, \"forms\": {}, \"right\": {:.4f}, \"wrong\": {:.4f}",
        name, all.told, forms.size(), static_cast<double>(all.right) / told,
        static_cast<double>(all.wrong) / told);
    if (!each) return fmt::print("}},\n");
    fmt::print(",\n  \"by_form\": {{\n");
    std::size_t left = forms.size();
    for (const auto& [text, score] : forms) {
        fmt::print("   \"{}\": [{}, {}, {}]{}\n", text, score.told, score.right, score.wrong,
                   --left == 0 ? "" : ",");
    }
    fmt::print("  }}}},\n");
}

int print_read(const char* path) {
    const auto corpora = bench::read_locomo(path);
    if (!corpora) {
        fmt::print(stderr, "{}\n", corpora.error().message);
        return 1;
    }
    for (const bench::Corpus& corpus : *corpora) {
        for (const memory::Entry& entry : corpus.entries) {
            for (const auto& one : memory::facts::extract(
                     entry.content,
                     {.speaker = entry.speaker, .said_at_unix_ms = entry.created_unix_ms})) {
                const Assertion& said = one.assertion;
                fmt::print("{}{} | {} | {} <- {}\n", said.ends ? "-" : "", said.subject,
                           said.predicate, said.object, entry.content);
            }
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string_view(argv[1]) == "--locomo") return print_read(argv[2]);
    const std::size_t slots = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 5;
    base::Rng rng(seed);
    const World world = test::make_world(rng, slots);
    std::uint64_t updates = 0;
    for (const Slot& slot : world.slots) updates += slot.updates.size();
    fmt::print(
        "{{\n \"command\": \"bench_memory_facts {} {}\",\n \"slots\": {},\n \"updates\": {},\n",
        slots, seed, slots, updates);
    fmt::print(
        " \"by_form\": \"[told, right, said besides or otherwise]; the rest was not seen\",\n");
    fmt::print(" \"direct\": {},\n", run_direct(world, rng).json());
    std::string last;
    for (const auto& [name, telling] :
         {std::pair("template", Telling::template_form),
          std::pair("paraphrase", Telling::paraphrase), std::pair("tuning", Telling::tuning),
          std::pair("held_out", Telling::held_out)}) {
        std::map<std::string_view, FormScore> by_form;
        const Scores scores = run_told(world, telling, rng, by_form);
        print_forms(name, by_form, telling != Telling::held_out);
        last += fmt::format("{} \"{}\": {}", last.empty() ? "" : ",\n", name, scores.json());
    }
    fmt::print("{}\n}}\n", last);
    return 0;
}
