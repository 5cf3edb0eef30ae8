#pragma once
// A subcommand as data: the same description drives parsing, --help, the man page and completion.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/config/load.h"
#include "base/core/clock.h"
#include "base/core/result.h"

namespace app {

class Terminal;

struct OptionSpec {
    std::string_view flags;  ///< "-n,--max-tokens"; the last one names it in Args
    std::string_view value;  ///< "N"; empty for a switch
    std::string_view help;
};

struct PositionalSpec {
    std::string_view name;  ///< "PROMPT"
    std::string_view help;
    bool required = false;
    bool many = false;
};

struct Example {
    std::string_view line;
    std::string_view says;
};

/// What was typed for one command, by the option's long flag or the positional's name; under "--"
/// what followed that mark, which is among the positionals, too.
class Args {
public:
    bool has(std::string_view flag) const { return values_.contains(flag); }
    /// The last one given.
    std::optional<std::string> value(std::string_view flag) const;
    std::vector<std::string> all(std::string_view name) const;
    /// Errors: invalid_argument naming the flag, what was found and the range.
    base::Result<std::optional<double>> number(std::string_view flag, double min, double max) const;
    base::Result<std::optional<std::uint32_t>> count(std::string_view flag, std::uint32_t min,
                                                     std::uint32_t max) const;

    void add(std::string_view name, std::string value) {
        values_[std::string(name)].push_back(std::move(value));
    }

private:
    std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

/// What every command is given.
struct Program {
    const Environment& environment;
    const LoadedConfig& loaded;
    const base::Clock& clock;
    Terminal& terminal;

    const Config& config() const { return loaded.config; }
};

struct Command {
    std::string_view name, summary;
    std::string_view about;  ///< a paragraph or two for --help and the man page
    std::vector<PositionalSpec> positionals;
    std::vector<OptionSpec> options;
    std::vector<Example> examples;
    /// Config sections this command reads; --help lists their flags.
    std::vector<std::string_view> config_sections;
    /// The exit status, or the error that cli.cc prints. Null for a group of subcommands.
    base::Result<int> (*run)(const Args& args, Program& program) = nullptr;
    std::vector<Command> subcommands;
};

}  // namespace app
