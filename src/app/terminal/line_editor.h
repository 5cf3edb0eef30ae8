#pragma once
// Reads lines from a person: editing and persistent history on a terminal, plain lines from a pipe.
// libedit lives behind this header.

#include <memory>
#include <string>

#include "app/terminal/terminal.h"

namespace app {

class LineEditor {
public:
    enum class Got { line, interrupted, end };

    /// `history_file` is read now and written when lines are added; empty keeps none.
    LineEditor(const Terminal& terminal, std::string history_file);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    /// Reads one line without its newline. `interrupted`: Ctrl-C was pressed; `line` is empty.
    Got read(const std::string& prompt, std::string& line);
    /// Puts an entry (it may have several lines) into the history and its file.
    void remember(const std::string& entry);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace app
