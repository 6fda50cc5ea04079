/** The version in package.json. `npm run build` writes this file. */
export const VERSION: string = '0.1.0';
