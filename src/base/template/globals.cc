// Functions every template can call, and the attributes of `loop`.

#include <algorithm>
#include <chrono>
#include <iterator>

#include "base/template/machine.h"

namespace base::tmpl {
namespace {

Result<Value> range(Machine& machine, Arguments& arguments) {
    const std::size_t given = arguments.positional.size();
    if (given < 1 || given > 3) return fail(Code::invalid_argument, "range takes 1 to 3 integers");
    const std::int64_t first = DG_TRY(integer_argument(arguments, 0, "start", 0));
    const std::int64_t begin = given == 1 ? 0 : first;
    const std::int64_t end = given == 1 ? first : DG_TRY(integer_argument(arguments, 1, "stop", 0));
    const std::int64_t step = DG_TRY(integer_argument(arguments, 2, "step", 1));
    if (step == 0) return fail(Code::invalid_argument, "range cannot step by zero");
    List* list = DG_TRY(machine.heap().list());
    for (std::int64_t at = begin; step > 0 ? at < end : at > end;) {
        DG_TRY(machine.meter().step());
        DG_TRY(machine.heap().grow());
        list->items.emplace_back(at);
        if (__builtin_add_overflow(at, step, &at)) break;
    }
    return Value(list);
}

Result<Value> make_dict(Machine& machine, Arguments& arguments) {
    Dict* dict = DG_TRY(machine.heap().dict());
    if (!arguments.positional.empty()) {
        const Value& from = arguments.positional[0];
        if (const Dict* other = as_dict(from)) {
            for (const auto& [key, value] : other->entries) {
                DG_TRY(machine.heap().set(*dict, key, value));
            }
        } else {
            for (const Value& pair : DG_TRY(machine.iterate(from))) {
                const auto parts = DG_TRY(machine.iterate(pair));
                if (parts.size() != 2) {
                    return fail(Code::invalid_argument, "dict needs pairs of key and value");
                }
                DG_TRY(machine.heap().set(*dict, parts[0], parts[1]));
            }
        }
    }
    for (const auto& [name, value] : arguments.named) {
        DG_TRY(machine.heap().set(*dict, DG_TRY(machine.heap().text(name)), value));
    }
    return Value(dict);
}

Result<Value> make_namespace(Machine& machine, Arguments& arguments) {
    Value made = DG_TRY(make_dict(machine, arguments));
    as_dict(made)->is_namespace = true;
    return made;
}

/// A function that prints nothing the first time and its separator after that.
Result<Value> joiner(Machine& machine, Arguments& arguments) {
    const Value* given = arguments.find(0, "sep");
    const Value separator = given != nullptr ? *given : constant_text(", ");
    auto used = std::make_shared<bool>(false);
    return Value(DG_TRY(
        machine.heap().function("joiner", [separator, used](Machine&, Arguments&) -> Result<Value> {
            return std::exchange(*used, true) ? separator : constant_text("");
        })));
}

/// An object whose next() goes round its items.
Result<Value> cycler(Machine& machine, Arguments& arguments) {
    if (arguments.positional.empty()) return fail(Code::invalid_argument, "cycler needs items");
    Dict* self = DG_TRY(machine.heap().dict());
    self->is_namespace = true;
    auto at = std::make_shared<std::size_t>(0);
    const auto items = std::make_shared<const std::vector<Value>>(arguments.positional);
    const auto show = [self, at, items] {
        self->set(constant_text("current"), (*items)[*at % items->size()]);
    };
    show();
    Function* next = DG_TRY(
        machine.heap().function("next", [at, items, show](Machine&, Arguments&) -> Result<Value> {
            Value current = (*items)[*at % items->size()];
            ++*at;
            show();
            return current;
        }));
    Function* reset =
        DG_TRY(machine.heap().function("reset", [at, show](Machine&, Arguments&) -> Result<Value> {
            *at = 0;
            show();
            return Value(None{});
        }));
    DG_TRY(machine.heap().set(*self, constant_text("next"), Value(next)));
    DG_TRY(machine.heap().set(*self, constant_text("reset"), Value(reset)));
    return Value(self);
}

Result<Value> raise_exception(Machine& machine, Arguments& arguments) {
    const Value* message = arguments.find(0, "message");
    return fail(Code::invalid_argument, "{}",
                message != nullptr ? DG_TRY(machine.print(*message)) : "the template gave up");
}

constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};

struct LocalTime {
    int year, month, day, week_day, year_day, hour, minute, second;
    std::int32_t offset_s;
};

LocalTime local_time(const RenderOptions& options) {
    using namespace std::chrono;
    // Far from now the calendar's arithmetic would overflow: a year holds 4 digits here.
    const std::int64_t shown =
        std::clamp<std::int64_t>(options.now_unix_s, -62'135'596'800, 253'402'214'400) +
        std::clamp(options.utc_offset_s, -86'399, 86'399);
    const sys_seconds at{seconds(shown)};
    const sys_days midnight = floor<days>(at);
    const year_month_day date(midnight);
    const hh_mm_ss clock(at - midnight);
    const sys_days new_year = sys_days(date.year() / January / 1);
    return {int{date.year()},
            static_cast<int>(unsigned{date.month()}),
            static_cast<int>(unsigned{date.day()}),
            static_cast<int>(weekday(midnight).c_encoding()),
            static_cast<int>((midnight - new_year).count()) + 1,
            static_cast<int>(clock.hours().count()),
            static_cast<int>(clock.minutes().count()),
            static_cast<int>(clock.seconds().count()),
            options.utc_offset_s};
}

/// One conversion of strftime in the C locale; with `plain`, numbers lose their leading zero.
std::string conversion(char letter, bool plain, const LocalTime& t) {
    const auto number = [&](int value, int width) {
        return plain ? std::to_string(value) : fmt::format("{:0{}}", value, width);
    };
    const int hour12 = t.hour % 12 == 0 ? 12 : t.hour % 12;
    const std::string_view month = kMonths[t.month - 1];
    const std::string_view day = kDays[t.week_day];
    switch (letter) {
        case 'Y':
            return number(t.year, 4);
        case 'y':
            return number(t.year % 100, 2);
        case 'm':
            return number(t.month, 2);
        case 'd':
            return number(t.day, 2);
        case 'e':
            return fmt::format("{:2}", t.day);
        case 'H':
            return number(t.hour, 2);
        case 'I':
            return number(hour12, 2);
        case 'M':
            return number(t.minute, 2);
        case 'S':
            return number(t.second, 2);
        case 'f':
            return "000000";
        case 'j':
            return number(t.year_day, 3);
        case 'w':
            return std::to_string(t.week_day);
        case 'u':
            return std::to_string(t.week_day == 0 ? 7 : t.week_day);
        case 'B':
            return std::string(month);
        case 'b':
        case 'h':
            return std::string(month.substr(0, 3));
        case 'A':
            return std::string(day);
        case 'a':
            return std::string(day.substr(0, 3));
        case 'p':
            return t.hour < 12 ? "AM" : "PM";
        case 'n':
            return "\n";
        case 't':
            return "\t";
        case '%':
            return "%";
        case 'z':
            return fmt::format("{}{:02}{:02}", t.offset_s < 0 ? '-' : '+',
                               std::abs(t.offset_s) / 3600, std::abs(t.offset_s) / 60 % 60);
        default:
            return {};
    }
}

std::string strftime(std::string_view pattern, const LocalTime& t) {
    std::string out;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] != '%' || i + 1 == pattern.size()) {
            out.push_back(pattern[i]);
            continue;
        }
        const bool plain = pattern[i + 1] == '-' && i + 2 < pattern.size();
        const char letter = pattern[i += plain ? 2 : 1];
        switch (letter) {
            case 'F':
                out.append(strftime("%Y-%m-%d", t));
                break;
            case 'T':
            case 'X':
                out.append(strftime("%H:%M:%S", t));
                break;
            case 'R':
                out.append(strftime("%H:%M", t));
                break;
            case 'D':
            case 'x':
                out.append(strftime("%m/%d/%y", t));
                break;
            case 'c':
                out.append(strftime("%a %b %e %H:%M:%S %Y", t));
                break;
            default:
                out.append(conversion(letter, plain, t));
        }
    }
    return out;
}

Result<Value> strftime_now(Machine& machine, Arguments& arguments) {
    const std::string_view pattern = DG_TRY(text_argument(arguments, 0, "format", "strftime_now"));
    DG_TRY(machine.meter().fits(pattern.size() * 24));
    return machine.heap().text(strftime(pattern, local_time(machine.options())));
}

constexpr std::pair<std::string_view, GlobalFunction> kGlobals[] = {
    {"range", range},
    {"dict", make_dict},
    {"namespace", make_namespace},
    {"joiner", joiner},
    {"cycler", cycler},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

Result<Value> cycle(LoopState& loop, Arguments& arguments) {
    if (arguments.positional.empty()) return fail(Code::invalid_argument, "cycle needs items");
    return arguments.positional[loop.index0 % arguments.positional.size()];
}

Result<Value> changed(Machine& machine, LoopState& loop, Arguments& arguments) {
    bool same = loop.changed && loop.changed->size() == arguments.positional.size();
    for (std::size_t i = 0; same && i < arguments.positional.size(); ++i) {
        same = DG_TRY(equal(machine.meter(), (*loop.changed)[i], arguments.positional[i]));
    }
    loop.changed = arguments.positional;
    return Value(!same);
}

}  // namespace

GlobalFunction find_global(std::string_view name) {
    const auto* found = std::find_if(std::begin(kGlobals), std::end(kGlobals),
                                     [&](auto& global) { return global.first == name; });
    return found == std::end(kGlobals) ? nullptr : found->second;
}

Result<std::optional<Value>> loop_attribute(Machine& machine, LoopState& loop,
                                            std::string_view name) {
    const auto at = static_cast<std::int64_t>(loop.index0);
    const auto size = static_cast<std::int64_t>(loop.items.size());
    const auto some = [](auto value) { return std::optional<Value>(Value(value)); };
    if (name == "index") return some(at + 1);
    if (name == "index0") return some(at);
    if (name == "revindex") return some(size - at);
    if (name == "revindex0") return some(size - at - 1);
    if (name == "first") return some(at == 0);
    if (name == "last") return some(at == size - 1);
    if (name == "length") return some(size);
    if (name == "depth") return some(std::int64_t{loop.depth});
    if (name == "depth0") return some(std::int64_t{loop.depth - 1});
    if (name == "previtem" && at > 0) return some(loop.items[loop.index0 - 1]);
    if (name == "nextitem" && at + 1 < size) return some(loop.items[loop.index0 + 1]);
    LoopState* state = &loop;
    if (name == "cycle") {
        return some(DG_TRY(machine.heap().function(
            "cycle", [state](Machine&, Arguments& given) { return cycle(*state, given); })));
    }
    if (name == "changed") {
        return some(
            DG_TRY(machine.heap().function("changed", [state](Machine& m, Arguments& given) {
                return changed(m, *state, given);
            })));
    }
    return std::optional<Value>();
}

}  // namespace base::tmpl
