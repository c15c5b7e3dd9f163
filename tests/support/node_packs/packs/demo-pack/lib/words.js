export const words = "the pack is here";
