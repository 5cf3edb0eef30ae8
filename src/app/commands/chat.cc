// dougong chat: a conversation in the terminal.
#include <fmt/format.h>

#include <array>

#include "app/chat/conversation.h"
#include "app/commands/asking.h"
#include "app/commands/commands.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/line_editor.h"
#include "app/terminal/terminal.h"
#include "base/core/nearest.h"
#include "base/files/files.h"

namespace app {
namespace {

using base::Code;
using base::Result;

std::string history_file(const Program& program) {
    const auto state = variable(program.environment, "XDG_STATE_HOME");
    const auto home = variable(program.environment, "HOME");
    if (state) return *state + "/dougong/chat_history";
    return home ? *home + "/.local/state/dougong/chat_history" : "";
}

class Chat {
public:
    Chat(const Args& args, const Program& program, Question settings, Answerer answerer)
        : args_(args),
          program_(program),
          terminal_(program.terminal),
          settings_(std::move(settings)),
          answerer_(std::move(answerer)),
          interrupt_(Interrupt::Signals::ctrl_c),
          editor_(program.terminal, history_file(program)) {
        conversation_.set_system(args.value("--system").value_or(""));
    }

    Result<int> loop() {
        greet();
        InputJoiner joiner;
        for (std::string line; !quit_;) {
            const auto got = editor_.read(prompt(joiner.open()), line);
            if (got == LineEditor::Got::interrupted) {
                interrupt_.clear();
                joiner.clear();
                note("Ctrl-D or /quit leaves");
                continue;
            }
            if (got == LineEditor::Got::end) {
                take(joiner.take_rest());
                break;
            }
            if (const auto input = joiner.feed(line)) take(*input);
        }
        return failed_ ? base::exit_status(Code::unavailable) : 0;
    }

private:
    struct Action {
        std::string_view name, help;
        void (Chat::*run)(const std::string& argument);
    };
    static std::span<const Action> actions();

    std::string prompt(bool continued) const {
        if (!terminal_.stdin_is_terminal()) return "";
        return continued ? "... " : "> ";
    }

    void note(std::string_view text) const {
        terminal_.err(terminal_.err_styled(Style::dim, text) + "\n");
    }
    void complain(std::string_view text) const {
        terminal_.err(fmt::format("{} {}\n", terminal_.err_styled(Style::red, "dougong:"), text));
    }

    void greet() const {
        if (answerer_.smoke) complain(fmt::format("this is {}", kSmokeModelNote));
        if (!terminal_.stdin_is_terminal()) return;
        note(fmt::format(
            "{}{}. /help lists commands, Ctrl-D leaves.", answerer_.source->model(),
            answerer_.backend ? fmt::format(", loaded in {:.0f} ms", answerer_.load_ms) : ""));
    }

    void take(const std::string& input) {
        if (input.find_first_not_of(" \t\n") == std::string::npos) return;
        editor_.remember(input);
        if (const auto command = parse_slash(input)) {
            act(*command);
        } else {
            conversation_.add_user(plain_text(input));
            answer();
        }
    }

    void act(const SlashCommand& command) {
        std::vector<std::string_view> names;
        for (const Action& action : actions()) {
            if (action.name == command.name) return (this->*action.run)(command.argument);
            names.push_back(action.name);
        }
        complain(fmt::format("there is no /{}{}; /help lists what there is", command.name,
                             base::did_you_mean(command.name, names)));
    }

    /// Answers the last question. A failed one is taken back, so that it can be asked again.
    void answer() {
        Question question = settings_;
        question.prompt.messages = conversation_.messages();
        interrupt_.clear();
        const auto result = answerer_.source->answer(
            question, [&](std::string_view text) { terminal_.out(text); },
            [&] { return interrupt_.raised(); });
        interrupt_.clear();
        terminal_.out("\n");
        if (!result) {
            complain(result.error().message);
            conversation_.undo();
            failed_ = true;
            return;
        }
        failed_ = false;
        conversation_.add_assistant(result->text);
        last_ = *result;
        ++answers_;
        tokens_ += result->completion_tokens;
        if (!args_.has("--quiet")) note(answer_stats(*result));
    }

    void do_help(const std::string&) {
        for (const Action& action : actions()) {
            note(fmt::format("  /{:<10} {}", action.name, action.help));
        }
        note(
            "  A line that ends in \\ goes on; \"\"\" opens and closes a block of lines.\n"
            "  Ctrl-C stops an answer. A text that begins with / is written with //.");
    }
    void do_model(const std::string& name) {
        if (name.empty()) return note(answerer_.source->model());
        auto opened = open_answerer(args_, program_, name);
        if (!opened) return complain(opened.error().message);
        answerer_ = std::move(*opened);
        note(fmt::format("now {}", answerer_.source->model()));
    }
    void do_system(const std::string& text) {
        if (text.empty()) {
            return note(conversation_.system().empty() ? "no system message"
                                                       : conversation_.system());
        }
        conversation_.set_system(text == "none" ? "" : text);
    }
    void do_set(const std::string& text) {
        if (text.empty()) return note(settings_text(settings_));
        const auto applied = apply_setting(settings_, text);
        if (!applied) complain(applied.error().message);
    }
    void do_reset(const std::string&) { conversation_.reset(); }
    void do_save(const std::string& path) {
        if (path.empty()) return complain("/save needs a file name");
        const auto saved = base::write_file_atomically(path, conversation_.to_json());
        if (!saved) return complain(saved.error().message);
        note(fmt::format("saved {} messages to {}", conversation_.turns(), path));
    }
    void do_load(const std::string& path) {
        if (path.empty()) return complain("/load needs a file name");
        const auto text = base::read_file(path);
        if (!text) return complain(text.error().message);
        auto loaded = Conversation::from_json(*text);
        if (!loaded) return complain(fmt::format("{}: {}", path, loaded.error().message));
        conversation_ = std::move(*loaded);
        note(fmt::format("loaded {} messages", conversation_.turns()));
    }
    void do_regen(const std::string&) {
        if (!conversation_.drop_answer()) return complain("there is no answer to write again");
        answer();
    }
    void do_undo(const std::string&) {
        if (!conversation_.undo()) return complain("there is nothing to take back");
        note(fmt::format("took back the last question; {} messages left", conversation_.turns()));
    }
    void do_stats(const std::string&) {
        note(fmt::format("{} answers, {} tokens in all", answers_, tokens_));
        if (answers_ > 0) note(fmt::format("last: {}", answer_stats(last_)));
    }
    void do_quit(const std::string&) { quit_ = true; }

    const Args& args_;
    const Program& program_;
    const Terminal& terminal_;
    Question settings_;
    Answerer answerer_;
    Interrupt interrupt_;
    LineEditor editor_;
    Conversation conversation_;
    Answer last_;
    std::uint64_t answers_ = 0, tokens_ = 0;
    bool quit_ = false, failed_ = false;
};

std::span<const Chat::Action> Chat::actions() {
    static constexpr std::array<Action, 11> kActions = {{
        {"help", "this list", &Chat::do_help},
        {"model", "NAME: go on with another model; alone: which one answers", &Chat::do_model},
        {"system", "TEXT: set the instructions; none removes them", &Chat::do_system},
        {"set", "NAME VALUE: temperature, top_p, seed, max_tokens...; alone: all", &Chat::do_set},
        {"reset", "forget the conversation", &Chat::do_reset},
        {"save", "FILE: write the conversation as JSON", &Chat::do_save},
        {"load", "FILE: go on with a saved one", &Chat::do_load},
        {"regen", "write the last answer again", &Chat::do_regen},
        {"undo", "take back the last question and answer", &Chat::do_undo},
        {"stats", "tokens and timings so far", &Chat::do_stats},
        {"quit", "leave", &Chat::do_quit},
    }};
    return kActions;
}

Result<int> run(const Args& args, Program& program) {
    Question settings = DG_TRY(question_from(args));
    Answerer answerer = DG_TRY(open_answerer(args, program, program.config().models.model));
    return Chat(args, program, std::move(settings), std::move(answerer)).loop();
}

}  // namespace

Command chat_command() {
    std::vector<OptionSpec> options = {
        {"-s,--system", "TEXT", "Instructions that hold for the whole conversation."},
        {"-q,--quiet", "", "No statistics after each answer."}};
    for (const OptionSpec& option : asking_options()) options.push_back(option);
    return {.name = "chat",
            .summary = "Talk to a model in the terminal",
            .about =
                "A conversation in the terminal, with line editing, a history that is kept, and "
                "commands that begin with a slash (/help lists them). Ctrl-C stops an answer, "
                "Ctrl-D leaves. Lines may also come through a pipe.",
            .positionals = {},
            .options = std::move(options),
            .examples = {{"dougong chat", "Talk to the default model."},
                         {"dougong chat --system 'Answer in one sentence.' --temperature 0",
                          "With instructions."},
                         {"dougong chat --url http://127.0.0.1:8080",
                          "Use a server that runs already."}},
            .config_sections = {"models", "engine"},
            .run = run,
            .subcommands = {}};
}

}  // namespace app
