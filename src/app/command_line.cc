#include "app/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <deque>

#include "app/config/fields.h"
#include "base/core/nearest.h"

namespace app {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

/// Where CLI11 writes; deques, because it keeps the addresses.
struct Slots {
    struct Value {
        const Command* command;
        std::string_view name;
        std::vector<std::string> values;
    };
    struct Switch {
        const Command* command;
        std::string_view name;
        bool on = false;
    };
    struct ConfigValue {
        const Field* field;
        std::vector<std::string> values;
        std::string switched;
    };
    std::deque<Value> values;
    std::deque<Switch> switches;
    std::deque<ConfigValue> config;
    std::string config_file;
    bool help = false;
};

std::string_view last_flag(std::string_view flags) {
    const std::size_t comma = flags.rfind(',');
    return comma == std::string_view::npos ? flags : flags.substr(comma + 1);
}

/// All positional words of a command; given to its positionals by take_words().
constexpr std::string_view kWords = "words";

void declare_config_flags(CLI::App& app, Slots& slots) {
    for (const Field& field : config_fields()) {
        auto& slot = slots.config.emplace_back();
        slot.field = &field;
        std::string names = field.flag();
        if (!field.alias.empty()) names += "," + std::string(field.alias);
        if (field.is_switch()) {
            app.add_flag(names, slot.switched);
        } else {
            app.add_option(names, slot.values)->allow_extra_args(false);
        }
    }
}

void declare(CLI::App& app, const Command& command, Slots& slots) {
    app.set_help_flag();
    app.require_subcommand(0, 1);
    for (const OptionSpec& option : command.options) {
        if (option.value.empty()) {
            auto& slot =
                slots.switches.emplace_back(Slots::Switch{&command, last_flag(option.flags)});
            app.add_flag(std::string(option.flags), slot.on);
        } else {
            auto& slot =
                slots.values.emplace_back(Slots::Value{&command, last_flag(option.flags), {}});
            app.add_option(std::string(option.flags), slot.values)->allow_extra_args(false);
        }
    }
    if (!command.positionals.empty()) {
        auto& slot = slots.values.emplace_back(Slots::Value{&command, kWords, {}});
        app.add_option(std::string(kWords), slot.values)
            ->expected(0, CLI::detail::expected_max_vector_size);
    }
    for (const Command& sub : command.subcommands) {
        declare(*app.add_subcommand(std::string(sub.name)), sub, slots);
    }
}

std::vector<std::string_view> split_flags(std::string_view flags) {
    std::vector<std::string_view> parts;
    while (!flags.empty()) {
        const std::size_t comma = flags.find(',');
        parts.push_back(flags.substr(0, comma));
        flags.remove_prefix(comma == std::string_view::npos ? flags.size() : comma + 1);
    }
    return parts;
}

std::string command_name(const std::vector<const Command*>& path) {
    std::string name = "dougong";
    for (std::size_t i = 1; i < path.size(); ++i) name += " " + std::string(path[i]->name);
    return name;
}

/// What was left over is an unknown option, a mistyped subcommand or one word too many.
base::Error explain_extra(const std::vector<const Command*>& path, const std::string& extra) {
    const Command& command = *path.back();
    const std::string help = fmt::format("; see {} --help", command_name(path));
    if (extra.size() > 1 && extra[0] == '-') {
        std::vector<std::string> names = {"--help", "--config"};
        for (const OptionSpec& option : command.options) {
            for (const auto flag : split_flags(option.flags)) names.emplace_back(flag);
        }
        for (const Field& field : config_fields()) {
            names.push_back(field.flag());
            for (const auto flag : split_flags(field.alias)) names.emplace_back(flag);
        }
        const std::string typed = extra.substr(0, extra.find('='));
        const std::vector<std::string_view> known(names.begin(), names.end());
        const std::string guess = base::did_you_mean(typed, known);
        return {Code::invalid_argument,
                fmt::format("unknown option {}{}", typed, guess.empty() ? help : guess), typed};
    }
    if (!command.subcommands.empty()) {
        std::vector<std::string_view> known;
        for (const Command& sub : command.subcommands) known.push_back(sub.name);
        const std::string guess = base::did_you_mean(extra, known);
        return {Code::invalid_argument,
                fmt::format("unknown command '{}'{}", extra, guess.empty() ? help : guess), extra};
    }
    return {Code::invalid_argument, fmt::format("unexpected argument '{}'{}", extra, help), extra};
}

Result<void> take_words(ParsedLine& line, std::span<const std::string> words) {
    for (const PositionalSpec& positional : line.command().positionals) {
        if (positional.required && words.empty()) {
            return fail_on(std::string(positional.name), Code::invalid_argument,
                           "{} needs {}: {}; see {} --help", command_name(line.path),
                           positional.name, positional.help, command_name(line.path));
        }
        const std::size_t count =
            positional.many ? words.size() : std::min<std::size_t>(1, words.size());
        for (const std::string& word : words.first(count)) line.args.add(positional.name, word);
        words = words.subspan(count);
    }
    if (!words.empty()) return std::unexpected(explain_extra(line.path, words.front()));
    return {};
}

std::vector<std::string> words_of(const Slots& slots, const Command& command) {
    for (const auto& slot : slots.values) {
        if (slot.command == &command && slot.name == kWords) return slot.values;
    }
    return {};
}

void collect(const Slots& slots, ParsedLine& line) {
    for (const auto& slot : slots.switches) {
        if (slot.on && slot.command == &line.command()) line.args.add(slot.name, "true");
    }
    for (const auto& slot : slots.values) {
        if (slot.command != &line.command() || slot.name == kWords) continue;
        for (const std::string& value : slot.values) line.args.add(slot.name, value);
    }
    for (const auto& slot : slots.config) {
        const std::string flag = slot.field->flag();
        if (!slot.values.empty()) {
            line.settings.push_back({slot.field->path(), slot.values.back(), flag});
        } else if (!slot.switched.empty()) {
            line.settings.push_back({slot.field->path(), slot.switched, flag});
        }
    }
    line.config_file = slots.config_file;
    line.help = slots.help;
    line.version = line.args.has("--version");
}

}  // namespace

Result<ParsedLine> parse_command_line(const Command& root, std::span<const std::string> arguments) {
    Slots slots;
    CLI::App app;
    app.fallthrough();
    app.allow_extras();
    declare(app, root, slots);
    declare_config_flags(app, slots);
    app.add_flag("-h,--help", slots.help);
    app.add_option("--config", slots.config_file);

    // What follows "--" is words only. CLI11 would hand it to the parent command.
    const auto mark = std::ranges::find(arguments, "--");
    const std::vector<std::string> after(mark == arguments.end() ? mark : mark + 1,
                                         arguments.end());
    std::vector<std::string> backwards(arguments.begin(), mark);
    std::ranges::reverse(backwards);

    ParsedLine line;
    line.path.push_back(&root);
    std::optional<CLI::Error> failure;
    try {
        app.parse(std::move(backwards));
    } catch (const CLI::Error& error) {
        failure = error;
    }
    const CLI::App* level = &app;
    while (!level->get_subcommands().empty()) {
        level = level->get_subcommands().front();
        const auto& subs = line.command().subcommands;
        const auto found = std::ranges::find(subs, level->get_name(), &Command::name);
        line.path.push_back(&*found);
    }
    if (failure) {
        return fail(Code::invalid_argument, "{}; see {} --help", failure->what(),
                    command_name(line.path));
    }
    collect(slots, line);
    if (line.help) return line;
    const std::vector<std::string> extras = app.remaining(true);
    for (const std::string& extra : extras) {
        return std::unexpected(explain_extra(line.path, extra));
    }
    std::vector<std::string> words = words_of(slots, line.command());
    words.insert(words.end(), after.begin(), after.end());
    for (const std::string& word : after) line.args.add("--", word);
    DG_TRY(take_words(line, words));
    return line;
}

}  // namespace app
