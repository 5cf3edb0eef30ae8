#include "support/changing_world.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>

namespace test {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kFirstDay = 16'436;  // 2015-01-01

using enum Telling;

template <class List>
const auto& pick(base::Rng& rng, const List& list) {
    return list[rng.below(list.size())];
}

std::string made_name(base::Rng& rng, std::size_t syllables) {
    static constexpr auto kStarts = std::to_array<std::string_view>(
        {"b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "kr", "st"});
    static constexpr auto kVowels = std::to_array<std::string_view>({"a", "e", "i", "o", "u"});
    std::string out;
    for (std::size_t i = 0; i < syllables; ++i) {
        out += pick(rng, kStarts);
        out += pick(rng, kVowels);
    }
    out += pick(rng, kStarts)[0];
    out[0] = static_cast<char>(out[0] & ~0x20);
    return out;
}

std::string made_digits(base::Rng& rng, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += static_cast<char>('1' + rng.below(9));
    return out;
}

std::string made_object(base::Rng& rng, std::string_view predicate) {
    static constexpr auto kColours = std::to_array<std::string_view>(
        {"red", "dark blue", "green", "yellow", "purple", "orange", "turquoise", "black", "white",
         "silver grey", "pink", "brown"});
    if (predicate == "favourite_colour") return std::string(pick(rng, kColours));
    if (predicate == "phone") return "+" + made_digits(rng, 9);
    if (predicate == "email") return made_name(rng, 2) + made_digits(rng, 3) + "@example.org";
    if (predicate == "married_to") return made_name(rng, 2) + " " + made_name(rng, 2);
    return made_name(rng, 3);
}

constexpr auto kPredicates = std::to_array<std::string_view>(
    {"lives_in", "works_at", "married_to", "favourite_colour", "phone", "email", "studies_at"});

std::string written_day(std::int64_t day, base::Rng& rng) {
    static constexpr auto kMonths = std::to_array<std::string_view>(
        {"January", "February", "March", "April", "May", "June", "July", "August", "September",
         "October", "November", "December"});
    const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
    const auto year = std::to_string(static_cast<int>(date.year()));
    const auto month = static_cast<unsigned>(date.month());
    const auto number = std::to_string(static_cast<unsigned>(date.day()));
    const std::string name(kMonths[month - 1]);
    switch (rng.below(3)) {
        case 0:
            return name + " " + number + ", " + year;
        case 1:
            return number + " " + name + " " + year;
        default: {
            const auto two = [](std::string text) { return text.size() < 2 ? "0" + text : text; };
            return year + "-" + two(std::to_string(month)) + "-" + two(number);
        }
    }
}

void replace(std::string& text, std::string_view what, const std::string& with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
        text.replace(at, what.size(), with);
        at += with.size();
    }
}

Slot made_slot(base::Rng& rng, World& world) {
    Slot slot;
    slot.subject = made_name(rng, 2) + " " + made_name(rng, 3);
    slot.predicate = pick(rng, kPredicates);
    std::int64_t day = kFirstDay + static_cast<std::int64_t>(rng.below(60));
    std::string now;
    for (std::uint64_t i = 1 + rng.below(20); i > 0; --i) {
        Update update;
        update.day = day;
        update.before = now;
        update.wrong = rng.below(10) == 0;
        const bool ends = !now.empty() && !update.wrong && rng.below(6) == 0;
        while (!ends && (update.object.empty() || update.object == now)) {
            update.object = made_object(rng, slot.predicate);
        }
        if (!update.wrong) now = update.object;
        slot.updates.push_back(update);
        day += 3 + static_cast<std::int64_t>(rng.below(150));
        world.now = std::max(world.now, (day + 400) * kDayMs);
    }
    return slot;
}

}  // namespace

const std::vector<Form>& forms() {
    static const std::vector<Form> first = {
        {template_form, "lives_in", false, "{S} moved to {O} on {D}."},
        {template_form, "lives_in", false, "{S} lives in {O} since {D}."},
        {template_form, "lives_in", false, "{S} lives in {O}."},
        {template_form, "lives_in", true, "{S} no longer lives in {O}."},
        {template_form, "lives_in", true, "{S} moved out of {O} on {D}."},
        {template_form, "works_at", false, "{S} works at {O}."},
        {template_form, "works_at", false, "{S} has worked at {O} since {D}."},
        {template_form, "works_at", true, "{S} does not work at {O} any more."},
        {template_form, "works_at", true, "{S} quit {O} on {D}."},
        {template_form, "married_to", false, "{S} is married to {O}."},
        {template_form, "married_to", false, "{S} married {O} on {D}."},
        {template_form, "married_to", true, "{S} divorced {O} on {D}."},
        {template_form, "favourite_colour", false, "{S}'s favourite colour is {O}."},
        {template_form, "favourite_colour", true, "{S}'s favourite colour is no longer {O}."},
        {template_form, "phone", false, "{S}'s phone number is {O}."},
        {template_form, "phone", true, "{S}'s phone number is no longer {O}."},
        {template_form, "email", false, "{S}'s email address is {O}."},
        {template_form, "email", true, "{S}'s email is not {O} any more."},
        {template_form, "studies_at", false, "{S} studies at {O}."},
        {template_form, "studies_at", false, "{S} has been studying at {O} since {D}."},
        {template_form, "studies_at", true, "{S} stopped studying at {O} on {D}."},

        {paraphrase, "lives_in", false, "As of {D}, {S} calls {O} home."},
        {paraphrase, "lives_in", false, "On {D} {S} packed everything and relocated to {O}."},
        {paraphrase, "lives_in", false, "{S} has finally settled down in {O}."},
        {paraphrase, "lives_in", false, "{S} is based in {O} these days, and it suits them well."},
        {paraphrase, "lives_in", false, "Since {D} {S}'s home has been {O}."},
        {paraphrase, "lives_in", false, "You can find {S} in {O} nowadays."},
        {paraphrase, "lives_in", true, "{S} moved away from {O}, nobody knows where to."},
        {paraphrase, "lives_in", true, "{S} has given up the flat in {O}."},
        {paraphrase, "lives_in", true, "{S} isn't living in {O} any longer."},
        {paraphrase, "works_at", false, "{S} is employed by {O} now, which came as a surprise."},
        {paraphrase, "works_at", false, "{S} got hired by {O} on {D}."},
        {paraphrase, "works_at", false, "{S} is on the payroll of {O}."},
        {paraphrase, "works_at", false, "{S}'s new employer is {O}."},
        {paraphrase, "works_at", false, "{S} joined {O} on {D}, and the team is happy."},
        {paraphrase, "works_at", true, "{O} let {S} go on {D}."},
        {paraphrase, "works_at", true, "{S} resigned from {O} on {D} after a long talk."},
        {paraphrase, "works_at", true, "{S}'s days at {O} are over."},
        {paraphrase, "married_to", false, "{S} and {O} tied the knot on {D}."},
        {paraphrase, "married_to", false, "{S}'s wife is {O}."},
        {paraphrase, "married_to", false, "{S} got married to {O} on {D}, a lovely party."},
        {paraphrase, "married_to", false, "{S} said yes to {O}."},
        {paraphrase, "married_to", true, "{S} and {O} split up on {D}."},
        {paraphrase, "married_to", true, "{S} is no longer married to {O}, sadly."},
        {paraphrase, "favourite_colour", false, "The favorite color of {S} is {O}."},
        {paraphrase, "favourite_colour", false, "{S} likes {O} best of all colours."},
        {paraphrase, "favourite_colour", false,
         "Now {S}'s favorite color is {O}, believe it or not."},
        {paraphrase, "favourite_colour", true, "{S} went off {O}."},
        {paraphrase, "favourite_colour", true, "{O} isn't {S}'s favourite colour any more."},
        {paraphrase, "phone", false, "You can reach {S} at {O}."},
        {paraphrase, "phone", false, "The phone number of {S} is {O}."},
        {paraphrase, "phone", false, "{S} can be called under {O}."},
        {paraphrase, "phone", true, "{S} gave up the number {O}."},
        {paraphrase, "email", false, "Write to {S} at {O}."},
        {paraphrase, "email", false, "{S}'s e-mail is {O}, please note it."},
        {paraphrase, "email", false, "The email address of {S} is {O}."},
        {paraphrase, "email", true, "Mail for {S} at {O} bounces."},
        {paraphrase, "studies_at", false, "{S} is enrolled at {O}."},
        {paraphrase, "studies_at", false, "{S} is currently studying at {O}."},
        {paraphrase, "studies_at", false, "{S} is a student at {O}."},
        {paraphrase, "studies_at", true, "{S} dropped out of {O} on {D}."},
        {paraphrase, "studies_at", true, "{S} used to study at {O}."},
    };
    static const std::vector<Form> all = [] {
        std::vector<Form> out = first;
        std::ranges::copy(further_forms(), std::back_inserter(out));
        return out;
    }();
    return all;
}

std::string Slot::value_on(std::int64_t day, std::int64_t arrived_by) const {
    std::string value;
    for (const Update& update : updates) {
        if (update.wrong || update.day > day || update.arrived_at > arrived_by) continue;
        // "No longer in Rome" says nothing of Paris: it matters while a move is not known yet.
        if (update.object.empty() && update.before != value) continue;
        value = update.object;
    }
    return value;
}

World make_world(base::Rng& rng, std::size_t slots) {
    World world;
    for (std::size_t i = 0; i < slots; ++i) world.slots.push_back(made_slot(rng, world));
    std::vector<Update*> all;
    for (Slot& slot : world.slots) {
        for (Update& update : slot.updates) {
            const auto within = static_cast<std::int64_t>(rng.below(kDayMs));
            update.told_at = update.day * kDayMs + within;
            all.push_back(&update);
        }
    }
    for (std::size_t k = all.size(); k > 1; --k) std::swap(all[k - 1], all[rng.below(k)]);
    world.arrived_all = world.now;
    for (Update* update : all) update->arrived_at = ++world.arrived_all;
    return world;
}

std::string tell(const Slot& slot, const Update& update, const Form& form, base::Rng& rng) {
    std::string text(form.text);
    replace(text, "{S}", slot.subject);
    replace(text, "{O}", form.ends ? update.before : update.object);
    replace(text, "{D}", written_day(update.day, rng));
    return text;
}

}  // namespace test
