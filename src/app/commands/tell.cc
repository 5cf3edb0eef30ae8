#include "app/commands/tell.h"

#include "app/terminal/terminal.h"

namespace app {

void print_json(const Program& program, const base::json::value& value) {
    program.terminal.out(base::to_text(value) + "\n");
}

int tell(const Args& args, const Program& program, const base::json::object& answer,
         const std::string& text) {
    if (args.has("--json")) {
        print_json(program, answer);
    } else {
        program.terminal.out(text);
    }
    return 0;
}

}  // namespace app
