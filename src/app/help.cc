#include "app/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/config/fields.h"

namespace app {
namespace {

using base::Code;

struct ExitStatus {
    int status;
    std::string_view says;
};

/// One line per status; the numbers come from base::exit_status.
std::vector<ExitStatus> exit_statuses() {
    return {
        {0, "success"},
        {base::exit_status(Code::invalid_argument), "wrong arguments, or too much input"},
        {base::exit_status(Code::data_loss), "damaged data: a checksum or a file's structure"},
        {base::exit_status(Code::not_found), "a model, file or name does not exist"},
        {base::exit_status(Code::unavailable), "something needed is not there or not supported"},
        {base::exit_status(Code::internal), "a bug: please report it"},
        {base::exit_status(Code::already_exists), "it exists already (a file, a busy port)"},
        {base::exit_status(Code::resource_exhausted), "a limit was reached; later may work"},
        {base::exit_status(Code::permission_denied), "not allowed"},
        {base::exit_status(Code::failed_precondition), "the configuration or state forbids it"},
        {base::exit_status(Code::cancelled), "stopped by Ctrl-C before the work was done"}};
}

/// Breaks at spaces; following lines start with `indent` spaces.
std::string wrap(std::string_view text, std::size_t width, std::size_t indent) {
    std::string out;
    std::size_t column = indent;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
        const std::string_view word = text.substr(at, end - at);
        if (column > indent && column + 1 + word.size() > width) {
            out += '\n';
            out.append(indent, ' ');
            column = indent;
        } else if (column > indent) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
        if (end < text.size() && text[end] == '\n') {
            out += '\n';
            out.append(indent, ' ');
            column = indent;
        }
        at = end + 1;
    }
    return out;
}

constexpr std::size_t kHelpColumn = 30;

std::string row(std::string_view left, std::string_view right, std::size_t width) {
    std::string out = fmt::format("  {:<{}}", left, kHelpColumn - 2);
    if (left.size() + 3 > kHelpColumn) out += fmt::format("\n{:{}}", "", kHelpColumn);
    return out + wrap(right, width, kHelpColumn) + "\n";
}

std::string option_names(std::string_view flags, std::string_view value) {
    std::string names;
    for (const char c : flags) names += c == ',' ? std::string(", ") : std::string(1, c);
    return value.empty() ? names : fmt::format("{} {}", names, value);
}

std::string field_value_name(const Field& field) {
    if (field.is_switch()) return "";
    if (field.unit == "bytes") return "BYTES";
    if (field.unit == "seconds") return "SECONDS";
    return kind_text(field) == "text" || kind_text(field) == "word" ? "TEXT" : "N";
}

std::string field_help(const Field& field) {
    const Config defaults;
    const std::string value = field_text(defaults, field);
    const std::string range = range_text(field);
    std::string facts = value.empty() ? "" : fmt::format("default {}", value);
    if (!range.empty()) facts += fmt::format("{}{}", facts.empty() ? "" : ", ", range);
    return facts.empty() ? std::string(field.help) : fmt::format("{} [{}]", field.help, facts);
}

std::string field_names(const Field& field) {
    const std::string flags =
        field.alias.empty() ? field.flag() : fmt::format("{},{}", field.alias, field.flag());
    return option_names(flags, field_value_name(field));
}

std::string full_name(const std::vector<const Command*>& path) {
    std::string name = "dougong";
    for (std::size_t i = 1; i < path.size(); ++i) name += fmt::format(" {}", path[i]->name);
    return name;
}

std::string usage(const std::string& name, const Command& command) {
    std::string line = fmt::format("{} [options]", name);
    if (!command.subcommands.empty()) line += " COMMAND";
    for (const PositionalSpec& positional : command.positionals) {
        const std::string dots = positional.many ? "..." : "";
        line += positional.required ? fmt::format(" {}{}", positional.name, dots)
                                    : fmt::format(" [{}{}]", positional.name, dots);
    }
    return line;
}

std::string config_help(const Command& command, std::size_t width) {
    std::string out;
    for (const std::string_view section : command.config_sections) {
        out += fmt::format("\nConfiguration: {}\n", section);
        for (const Field& field : config_fields()) {
            if (field.section == section) out += row(field_names(field), field_help(field), width);
        }
    }
    return out;
}

std::string common_help(std::size_t width) {
    return "\nEverywhere:\n" +
           row("--config FILE",
               "Read this YAML file. Fields are also set by --section.field and "
               "DOUGONG_SECTION_FIELD; `dougong config --help` lists them.",
               width) +
           row("-h, --help", "This text.", width);
}

std::string root_extras(std::size_t width) {
    std::string out = "\nExit status:\n";
    for (const ExitStatus& exit : exit_statuses()) {
        out += row(fmt::format("{}", exit.status), exit.says, width);
    }
    return out;
}

/// Roff treats a leading dot or quote and every backslash and hyphen specially.
std::string roff(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
    }
    if (!out.empty() && (out.front() == '.' || out.front() == '\'')) out.insert(0, "\\&");
    return out;
}

std::string man_items(const Command& command) {
    std::string out;
    for (const PositionalSpec& positional : command.positionals) {
        out += fmt::format(".TP\n\\fI{}\\fR\n{}\n", roff(positional.name), roff(positional.help));
    }
    for (const OptionSpec& option : command.options) {
        out += fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(option_names(option.flags, option.value)),
                           roff(option.help));
    }
    return out;
}

std::string man_examples(const Command& command) {
    std::string out;
    for (const Example& example : command.examples) {
        out += fmt::format(".PP\n{}\n.PP\n.nf\n.RS\n{}\n.RE\n.fi\n", roff(example.says),
                           roff(example.line));
    }
    return out;
}

std::string man_command(const std::string& name, const Command& command) {
    std::string out;
    if (command.run != nullptr) {
        out += fmt::format(".SS {}\n{}\n", roff(usage(name, command)), roff(command.about));
        out += man_items(command) + man_examples(command);
    }
    for (const Command& sub : command.subcommands) {
        out += man_command(fmt::format("{} {}", name, sub.name), sub);
    }
    return out;
}

std::string man_config() {
    std::string out;
    for (const Field& field : config_fields()) {
        out += fmt::format(".TP\n\\fB{}\\fR, \\fB{}\\fR\n{}\n", roff(field_names(field)),
                           roff(field.environment()), roff(field_help(field)));
    }
    return out;
}

std::string flag_words(const Command& command) {
    std::string words = "--help --config";
    for (const OptionSpec& option : command.options) {
        words += fmt::format(" {}", option.flags.substr(option.flags.rfind(',') + 1));
    }
    for (const Field& field : config_fields()) words += " " + field.flag();
    return words;
}

std::string sub_words(const Command& command) {
    std::string words;
    for (const Command& sub : command.subcommands) {
        words += fmt::format("{}{}", words.empty() ? "" : " ", sub.name);
    }
    return words;
}

}  // namespace

std::string help_text(const std::vector<const Command*>& path, std::size_t width) {
    const Command& command = *path.back();
    const std::string name = full_name(path);
    std::string out =
        fmt::format("{}\n\nUsage: {}\n", wrap(command.about, width, 0), usage(name, command));
    if (!command.subcommands.empty()) {
        out += "\nCommands:\n";
        for (const Command& sub : command.subcommands) out += row(sub.name, sub.summary, width);
    }
    if (!command.positionals.empty()) {
        out += "\nArguments:\n";
        for (const auto& item : command.positionals) out += row(item.name, item.help, width);
    }
    if (!command.options.empty()) {
        out += "\nOptions:\n";
        for (const auto& item : command.options) {
            out += row(option_names(item.flags, item.value), item.help, width);
        }
    }
    out += config_help(command, width) + common_help(width);
    if (!command.examples.empty()) {
        out += "\nExamples:\n";
        for (const Example& example : command.examples) {
            out += fmt::format("  {}\n      {}\n", example.line, example.says);
        }
    }
    if (path.size() == 1) out += root_extras(width);
    return out;
}

std::string man_page(const Command& root, std::string_view version) {
    std::string out = fmt::format(
        ".TH DOUGONG 1 \"\" \"dougong {}\" \"User Commands\"\n.SH NAME\ndougong \\- {}\n"
        ".SH SYNOPSIS\n.B dougong\n[\\fIoptions\\fR] \\fICOMMAND\\fR [\\fIarguments\\fR]\n"
        ".SH DESCRIPTION\n{}\n.SH COMMANDS\n",
        version, roff(root.summary), roff(root.about));
    for (const Command& command : root.subcommands) {
        out += man_command(fmt::format("dougong {}", command.name), command);
    }
    out +=
        ".SH CONFIGURATION\nFlags go before environment variables, which go before the file, "
        "which goes before the defaults.\n" +
        man_config();
    out +=
        ".SH FILES\n.TP\n\\fI~/.config/dougong/dougong.yaml\\fR, "
        "\\fI/etc/dougong/dougong.yaml\\fR\nConfiguration; the first one found is read.\n"
        ".TP\n\\fI~/.cache/dougong/models\\fR\nModels that were pulled.\n.SH EXIT STATUS\n";
    for (const ExitStatus& exit : exit_statuses()) {
        out += fmt::format(".TP\n{}\n{}\n", exit.status, roff(exit.says));
    }
    return out;
}

std::string bash_completion(const Command& root) {
    std::string out = fmt::format(
        "# bash completion for dougong; written by `dougong completion bash`\n"
        "_dougong() {{\n"
        "    local cur=${{COMP_WORDS[COMP_CWORD]}} words=\"{} --help --version\" word\n"
        "    local path=\n"
        "    for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
        "        [[ $word == -* ]] || path+=\" $word\"\n"
        "    done\n"
        "    case \"$path\" in\n",
        sub_words(root));
    for (const Command& command : root.subcommands) {
        for (const Command& sub : command.subcommands) {
            out += fmt::format("    \" {} {}\"*) words=\"{}\" ;;\n", command.name, sub.name,
                               flag_words(sub));
        }
        out += fmt::format("    \" {}\"*) words=\"{}\" ;;\n", command.name,
                           command.subcommands.empty() ? flag_words(command) : sub_words(command));
    }
    out +=
        "    esac\n"
        "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
        "    [[ $cur == -* || ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
        "}\n"
        "complete -o filenames -F _dougong dougong\n";
    return out;
}

}  // namespace app
