#include "sphere/tools/box_files.h"

#include <sys/stat.h>

#include <utility>

namespace sphere::tools {

base::Result<files::Workspace> open_files(Sphere& sphere, const SandboxId& box,
                                          const FileAccess& access) {
    DG_TRY(sphere.admit_file(box, access));
    base::UniqueFd root(DG_TRY(sphere.open_workspace(box)));
    struct stat about {};
    if (::fstat(root.get(), &about) != 0) {
        return base::fail(base::Code::unavailable, "sandbox {} shows no workspace", box);
    }
    return files::Workspace(std::move(root), files::Owner{about.st_uid, about.st_gid});
}

}  // namespace sphere::tools
