// A customer as a virtual object: its fields are laid over what it has, durably, one call at a time.

// The SDK wants Node 22; this is all that it misses in Node 20.
Promise.withResolvers ??= () => {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

const restate = await import("@restatedev/restate-sdk");

const customer = restate.object({
  name: "Customer",
  handlers: {
    patch: async (context, fields) => {
      const present = (await context.get("fields")) ?? {};
      context.set("fields", { ...present, ...fields });
    },
  },
});

restate.serve({ services: [customer], port: Number(process.argv[2]) });
