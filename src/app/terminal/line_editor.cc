#include "app/terminal/line_editor.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <filesystem>

namespace app {

struct LineEditor::Impl {
    bool interactive = false;
    std::string prompt, history_file;
    EditLine* editor = nullptr;
    History* history = nullptr;
};

namespace {

constexpr int kHistoryLines = 1000;

/// libedit asks for the prompt through a function without a context of our type.
char* prompt_of(EditLine* editor) {
    std::string* text = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &text);
    return text->data();
}

void without_newline(std::string& line) {
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
}

LineEditor::Got read_plain(std::string& line) {
    char* buffer = nullptr;
    std::size_t capacity = 0;
    errno = 0;
    const ssize_t length = ::getline(&buffer, &capacity, stdin);
    const bool interrupted = length < 0 && errno == EINTR;
    if (length > 0) line.assign(buffer, static_cast<std::size_t>(length));
    std::free(buffer);
    if (interrupted) std::clearerr(stdin);
    if (length < 0) return interrupted ? LineEditor::Got::interrupted : LineEditor::Got::end;
    without_newline(line);
    return LineEditor::Got::line;
}

}  // namespace

LineEditor::LineEditor(const Terminal& terminal, std::string history_file)
    : impl_(std::make_unique<Impl>()) {
    impl_->interactive = terminal.stdin_is_terminal() && terminal.stdout_is_terminal();
    impl_->history_file = std::move(history_file);
    if (!impl_->interactive) return;
    std::setlocale(LC_CTYPE, "");  // so that libedit counts UTF-8 characters and not bytes
    impl_->editor = ::el_init("dougong", stdin, stdout, stderr);
    ::el_set(impl_->editor, EL_CLIENTDATA, &impl_->prompt);
    ::el_set(impl_->editor, EL_PROMPT, prompt_of);
    ::el_set(impl_->editor, EL_EDITOR, "emacs");
    ::el_set(impl_->editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    impl_->history = ::history_init();
    HistEvent event{};
    ::history(impl_->history, &event, H_SETSIZE, kHistoryLines);
    ::history(impl_->history, &event, H_SETUNIQUE, 1);
    ::el_set(impl_->editor, EL_HIST, ::history, impl_->history);
    if (!impl_->history_file.empty()) {
        ::history(impl_->history, &event, H_LOAD, impl_->history_file.c_str());
    }
}

LineEditor::~LineEditor() {
    if (impl_->history != nullptr) ::history_end(impl_->history);
    if (impl_->editor != nullptr) ::el_end(impl_->editor);
}

LineEditor::Got LineEditor::read(const std::string& prompt, std::string& line) {
    line.clear();
    if (!impl_->interactive) return read_plain(line);
    impl_->prompt = prompt;
    int length = 0;
    errno = 0;
    const char* text = ::el_gets(impl_->editor, &length);
    if (text == nullptr || length <= 0) {
        const bool interrupted = errno == EINTR || length < 0;
        std::fputc('\n', stdout);
        if (interrupted) ::el_reset(impl_->editor);
        return interrupted ? Got::interrupted : Got::end;
    }
    line.assign(text, static_cast<std::size_t>(length));
    without_newline(line);
    return Got::line;
}

void LineEditor::remember(const std::string& entry) {
    if (impl_->history == nullptr || entry.empty()) return;
    HistEvent event{};
    ::history(impl_->history, &event, H_ENTER, entry.c_str());
    if (impl_->history_file.empty()) return;
    std::error_code ignored;  // no history is better than no chat
    std::filesystem::create_directories(std::filesystem::path(impl_->history_file).parent_path(),
                                        ignored);
    ::history(impl_->history, &event, H_SAVE, impl_->history_file.c_str());
    std::filesystem::permissions(
        impl_->history_file,
        std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, ignored);
}

}  // namespace app
