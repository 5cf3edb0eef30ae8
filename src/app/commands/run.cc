// dougong run: one question, one answer, streamed to stdout; statistics go to stderr.
#include <fmt/format.h>
#include <unistd.h>

#include "app/commands/asking.h"
#include "app/commands/commands.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/terminal.h"

namespace app {
namespace {

using base::Code;
using base::Result;

constexpr std::size_t kPromptBytesMax = 16u << 20;

Result<std::string> read_stdin() {
    std::string text;
    char buffer[65536];
    for (;;) {
        const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (got == 0) return text;
        if (got < 0)
            return base::fail(Code::cancelled, "reading the prompt from stdin was stopped");
        text.append(buffer, static_cast<std::size_t>(got));
        if (text.size() > kPromptBytesMax) {
            return base::fail(Code::payload_too_large, "the prompt on stdin is over {} bytes",
                              kPromptBytesMax);
        }
    }
}

/// The words of the command line, then what stdin holds: `dougong run 'Summarise:' < file`.
Result<std::string> read_prompt(const Args& args, const Terminal& terminal) {
    std::string prompt;
    for (const std::string& word : args.all("PROMPT")) {
        prompt += (prompt.empty() ? "" : " ") + word;
    }
    const bool wants_stdin = prompt.empty() || args.has("--stdin");
    if (wants_stdin && terminal.stdin_is_terminal()) {
        return base::fail_on("PROMPT", Code::invalid_argument,
                             "no prompt: give it as words, or through a pipe; for a conversation "
                             "use dougong chat");
    }
    if (wants_stdin) prompt += (prompt.empty() ? "" : "\n") + DG_TRY(read_stdin());
    if (prompt.empty()) {
        return base::fail_on("PROMPT", Code::invalid_argument, "the prompt is empty");
    }
    return prompt;
}

gate::Prompt as_prompt(const Args& args, const std::string& text) {
    gate::Prompt prompt;
    if (args.has("--raw")) {
        prompt.text = text;
        return prompt;
    }
    auto& messages = prompt.messages.emplace();
    if (const auto system = args.value("--system")) {
        messages.push_back(base::json::object{{"role", "system"}, {"content", *system}});
    }
    messages.push_back(base::json::object{{"role", "user"}, {"content", text}});
    return prompt;
}

Result<int> run(const Args& args, Program& program) {
    const Terminal& terminal = program.terminal;
    Question question = DG_TRY(question_from(args));
    question.prompt = as_prompt(args, DG_TRY(read_prompt(args, terminal)));

    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    Answerer answerer = DG_TRY(open_answerer(args, program, program.config().models.model));
    const bool as_json = args.has("--json");
    if (answerer.smoke && !as_json) {
        terminal.err(fmt::format("{} this is {}\n", terminal.err_styled(Style::yellow, "dougong:"),
                                 kSmokeModelNote));
    }
    bool reader_gone = false;
    const Answer answer = DG_TRY(answerer.source->answer(
        question,
        [&](std::string_view text) {
            if (!as_json && !terminal.out(text)) reader_gone = true;
        },
        [&] { return interrupt.raised() || reader_gone; }));

    if (as_json) {
        base::json::object out = answer_json(answer, answerer.source->model());
        if (answerer.backend) out["load_ms"] = answerer.load_ms;
        if (answerer.smoke) out["note"] = kSmokeModelNote;
        terminal.out(base::to_text(out) + "\n");
    } else {
        if (!answer.text.ends_with('\n')) terminal.out("\n");
        if (!args.has("--quiet")) {
            terminal.err(
                terminal.err_styled(Style::dim, fmt::format("{}: {}", answerer.source->model(),
                                                            answer_stats(answer))) +
                "\n");
        }
    }
    return interrupt.raised() ? base::exit_status(Code::cancelled) : 0;
}

}  // namespace

Command run_command() {
    std::vector<OptionSpec> options = {
        {"-s,--system", "TEXT", "Instructions that go before the prompt."},
        {"--raw", "", "Continue the prompt as it is, without the model's chat template."},
        {"--stdin", "", "Add what stdin holds after the words of the command line."},
        {"--json", "", "One JSON object with answer and timings, at the end."},
        {"-q,--quiet", "", "No statistics on stderr."}};
    for (const OptionSpec& option : asking_options()) options.push_back(option);
    return {
        .name = "run",
        .summary = "Answer one prompt and exit",
        .about =
            "Answers one prompt, given as words or through a pipe. The answer streams to "
            "stdout; timings go to stderr. The model is opened in this process unless --url "
            "names a server.",
        .positionals = {{"PROMPT", "the words of the prompt; without any, stdin is read", false,
                         true}},
        .options = std::move(options),
        .examples = {{"dougong run 'Name three rivers in France.'", "Ask the default model."},
                     {"dougong run --stdin 'Summarise this text:' < notes.txt",
                      "Words and a file."},
                     {"dougong run --json -n 20 --temperature 0 hello | jq .decode_tokens_per_s",
                      "For a program."},
                     {"dougong run --url http://127.0.0.1:8080 'Hi!'",
                      "Ask a server that runs already."}},
        .config_sections = {"models", "engine"},
        .run = run,
        .subcommands = {}};
}

}  // namespace app
