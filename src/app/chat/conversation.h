#pragma once
// A conversation and what a person can do to it, apart from terminals and models.

#include <optional>
#include <string>
#include <string_view>

#include "app/answers.h"
#include "base/core/result.h"
#include "base/json/json.h"

namespace app {

class Conversation {
public:
    /// Empty removes the system message.
    void set_system(std::string text) { system_ = std::move(text); }
    const std::string& system() const { return system_; }

    void add_user(std::string text) { add("user", std::move(text)); }
    void add_assistant(std::string text) { add("assistant", std::move(text)); }
    /// Removes the last question and what was answered. False when there is none.
    bool undo();
    /// Removes the last answer and leaves its question to be asked again. False when there is none.
    bool drop_answer();
    /// Forgets everything but the system message.
    void reset() { turns_.clear(); }
    std::size_t turns() const { return turns_.size(); }

    /// The system message, then the turns, OpenAI-shaped.
    base::json::array messages() const;
    /// {"messages": [...]}, read back by from_json.
    std::string to_json() const;
    /// Errors: invalid_argument (not a conversation: says which message is wrong).
    static base::Result<Conversation> from_json(std::string_view text);

private:
    void add(std::string_view role, std::string text);

    std::string system_;
    base::json::array turns_;
};

/// A line that begins with "/": "/set temperature 0" has name "set" and argument "temperature 0".
struct SlashCommand {
    std::string name, argument;
};
/// Nothing for ordinary text. "//text" is text that begins with one slash: see plain_text().
std::optional<SlashCommand> parse_slash(std::string_view line);
/// The line as it is sent to the model.
std::string plain_text(std::string_view line);

/// Applies "temperature 0.2" to the question's settings. Errors: invalid_argument naming the known
/// settings or the range.
base::Result<void> apply_setting(Question& question, std::string_view text);
/// One "name value" per line.
std::string settings_text(const Question& question);

/// Joins lines into one input: a trailing backslash continues, """ opens and closes a block.
class InputJoiner {
public:
    /// The whole input once it is complete.
    std::optional<std::string> feed(std::string_view line);
    bool open() const { return in_block_ || !text_.empty(); }
    void clear();
    /// What is pending at the end of the input.
    std::string take_rest();

private:
    std::string text_;
    bool in_block_ = false;
};

}  // namespace app
